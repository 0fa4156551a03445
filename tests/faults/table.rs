//! Purpose: what happened, as the tables of `docs/reliability.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::matrix::Cell;
use crate::rules::{Class, EXCEPTIONS, Exception};

const PAGE: &str = "docs/reliability.md";

/// Compares a command's part of the page with what happened, or writes it with `LANDFALL_GENERATE=1`.
#[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
pub(crate) fn settle(command: &str, ran: &[(&str, Vec<Cell>)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    // Other commands' tests write their own parts at the same time.
    let mut file = fs::File::options().read(true).write(true).open(&path).expect(PAGE);
    file.lock().unwrap();
    let mut page = String::new();
    file.read_to_string(&mut page).unwrap();
    let (begin, end) = (format!("<!-- {command}: begin -->\n"), format!("<!-- {command}: end -->\n"));
    let part = part_of(ran);
    let (head, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no place for {command}"));
    let (old, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} has no end for {command}"));
    if std::env::var("LANDFALL_GENERATE").is_ok() {
        file.rewind().unwrap();
        file.set_len(0).unwrap();
        file.write_all(format!("{head}{begin}{part}{end}{tail}").as_bytes()).unwrap();
        return;
    }
    assert!(old == part, "{PAGE} says of {command}:\n{old}\nand it is:\n{part}\n(`make generate` writes it)");
}

fn part_of(ran: &[(&str, Vec<Cell>)]) -> String {
    let mut part = String::new();
    for (scene, cells) in ran {
        let _ = write!(part, "\n### {scene}\n\n");
        if cells.is_empty() {
            part.push_str("It asks nobody.\n");
            continue;
        }
        part.push_str("| Upstream, call | Fault | Ends with |\n| --- | --- | --- |\n");
        for (upstream, call, faults, ending) in rows(cells) {
            let _ = writeln!(part, "| {upstream} `{call}` | {} | {ending} |", faults.join("; "));
        }
        let told: Vec<&Exception> = EXCEPTIONS.iter().filter(|exception| holds(exception, scene, cells)).collect();
        if !told.is_empty() {
            part.push_str("\nNot as the rules say, because:\n\n");
        }
        for exception in told {
            let codes: Vec<String> = exception.codes.iter().map(ToString::to_string).collect();
            let call = exception.call.replace('*', "…");
            let _ = writeln!(part, "- `{call}`, exit {}: {}.", codes.join(" or "), exception.because);
        }
    }
    part.push('\n');
    part
}

fn holds(exception: &Exception, scene: &str, cells: &[Cell]) -> bool {
    let applies = |cell: &Cell| {
        crate::world::faults::matches(exception.call, &cell.call.name())
            && exception.classes.contains(&cell.kind.class)
            && exception.codes.contains(&cell.ending.code)
            && !crate::rules::honest(cell.kind.class, cell.call.is_write()).contains(&cell.ending.code)
    };
    scene.starts_with(exception.scene) && cells.iter().any(applies)
}

/// Faults that end alike at one call are one row.
fn rows(cells: &[Cell]) -> Vec<(&'static str, String, Vec<&'static str>, String)> {
    let mut order = Vec::new();
    let mut grouped: BTreeMap<usize, Vec<&'static str>> = BTreeMap::new();
    for cell in cells {
        // Which comes first, the last try's end or the command's, is a matter of milliseconds.
        let ending = match (cell.kind.class, cell.ending.code) {
            (Class::Endless, 1 | 4) => "1 or 4, in its time".to_owned(),
            _ => format!("{} `{}`", cell.ending.code, cell.ending.reason),
        };
        let key = (cell.call.upstream(), cell.call.name(), ending);
        let place = order.iter().position(|known| *known == key).unwrap_or_else(|| {
            order.push(key);
            order.len() - 1
        });
        grouped.entry(place).or_default().push(cell.kind.name);
    }
    order
        .into_iter()
        .enumerate()
        .map(|(place, (upstream, call, ending))| (upstream, call, grouped.remove(&place).unwrap_or_default(), ending))
        .collect()
}
