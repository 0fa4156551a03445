"""Markdown of the committed snapshots as pictures: see `scripts/pictures`."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 1000
LARGEST = 150_000
"""Name of the picture, snapshot below tests, `summary` or `comment`, and how many folded parts are shown open."""
PICTURES = [
    ("report-comment", "snapshots/report__failed_tests_comment.snap", "comment", 1),
    ("terraform-plan", "snapshots/terraform__plan.snap", "comment", 1),
    ("terraform-check", "snapshots/terraform__check_findings.snap", "summary", 9),
    ("dashboard", "dashboard/snapshots/dashboard__straight__comment.snap", "comment", 1),
    ("deploy", "deploy/snapshots/deploy__straight__an_image_is_registered_deployed_and_proven.snap", "summary", 1),
    ("deploy-crash-loop", "deploy/snapshots/deploy__rollout__a_crash_loop_is_ended_explained_and_taken_back.snap", "summary", 2),
    ("build", "snapshots/build__every_tag_is_pushed_as_one_digest.snap", "summary", 1),
    ("build-failure", "snapshots/build__a_failing_step_is_shown_where_it_stands.snap", "summary", 1),
    ("resolve", "resolve/snapshots/resolve__ladder__a_branch_with_an_image_is_used.snap", "summary", 1),
    ("prune", "prune/snapshots/prune__ghcr__the_default_policy_is_charons_matrix.snap", "summary", 1),
    ("scan", "scan/snapshots/scan__trivy__findings_stop_the_image_and_are_told_in_every_form.snap", "summary", 1),
    ("merge", "snapshots/merge__parts_become_one_index_under_every_tag.snap", "summary", 1),
    ("tailscale", "snapshots/tailscale__the_node_joins_reaches_and_leaves_in_the_post_stage.snap", "summary", 1),
    ("tags", "snapshots/tags__a_pushed_branch_is_named_shown_and_summed_up.snap", "summary", 1),
    ("metrics", "snapshots/metrics__a_small_repository_is_told_in_tables_and_charts.snap", "summary", 1),
    ("doctor", "snapshots/doctor__everything_that_is_wrong_is_found_at_once.snap", "summary", 1),
]
RENDER = """
const [packages, input] = process.argv.slice(1);
const MarkdownIt = require(packages + '/node_modules/markdown-it');
const markdown = new MarkdownIt({ html: true, linkify: true });
const plain = markdown.renderer.rules.fence;
markdown.renderer.rules.fence = (tokens, at, ...rest) =>
  tokens[at].info.trim() === 'mermaid'
    ? '<pre class="mermaid">' + markdown.utils.escapeHtml(tokens[at].content) + '</pre>'
    : plain(tokens, at, ...rest);
process.stdout.write(markdown.render(require('fs').readFileSync(input, 'utf8')));
"""
PAGE = """<!doctype html><html><head><meta charset="utf-8"><style>{css}
body {{ margin: 0; background: #fff; }}
.markdown-body {{ box-sizing: border-box; width: {width}px; padding: 24px; font-family: "DejaVu Sans", sans-serif; font-size: 14px; }}
pre.mermaid {{ background: #fff; text-align: center; }}
</style></head><body><article class="markdown-body">{body}</article>
<script>{mermaid}</script><script>
[...document.querySelectorAll('details')].slice(0, {opened}).forEach(part => part.open = true);
const done = () => document.documentElement.dataset.height = Math.ceil(document.body.scrollHeight);
window.mermaid && document.querySelector('.mermaid')
  ? (mermaid.initialize({{ startOnLoad: false }}), mermaid.run().then(done, done)) : done();
</script></body></html>"""


def markdown(path: pathlib.Path, part: str) -> str:
    """The Markdown in a snapshot: all of it, or what stands below its summary's line."""
    text = path.read_text().split("\n---\n", 1)[1]
    if part == "summary":
        text = text.split("--- summary ---\n", 1)[-1] if "--- summary ---\n" in text else text.split("--- summary\n", 1)[-1]
    return filled(text)


def filled(text: str) -> str:
    """Snapshots have placeholders for what varies; pictures need something in their places."""
    steps = iter(range(0, 100_000_000, 5_000))
    text = re.sub("<start>, <end>", lambda _: f"{(at := next(steps))}, {at + 4_200}", text)
    values = {
        "duration": "4.2 s",
        "host": "github.example",
        "time": "2026-01-02T03:04:05Z",
        "sha7": "0123456",
        "name": "ghcr.io/acme/web",
        "digest": "sha256:5c9d05ccf9b6c457d27374a1727ff8416f104ee27f8bd7e0a4b1f3c2d9e8a7b6",
        "platform": "linux/amd64",
        "image": "ghcr.io/acme/web:v1",
        "size": "24.1 MB",
        "number": "42",
    }
    for placeholder, value in values.items():
        text = text.replace(f"<{placeholder}>", value).replace(f"&lt;{placeholder}&gt;", value)
    return text


def chromium(*arguments: str) -> str:
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=15000"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, timeout=120).stdout


def draw(packages: str, name: str, text: str, opened: int) -> None:
    modules = pathlib.Path(packages) / "node_modules"
    with tempfile.TemporaryDirectory() as folder:
        source, page = pathlib.Path(folder, "in.md"), pathlib.Path(folder, "page.html")
        source.write_text(text)
        body = subprocess.run(["node", "-e", RENDER, packages, str(source)], check=True, capture_output=True, text=True).stdout
        css = (modules / "github-markdown-css/github-markdown-light.css").read_text()
        mermaid = (modules / "mermaid/dist/mermaid.min.js").read_text().replace("</script", "<\\/script") if "mermaid" in body else ""
        page.write_text(PAGE.format(css=css, width=WIDTH, body=body, mermaid=mermaid, opened=opened))
        height = re.search(r'data-height="(\d+)"', chromium("--dump-dom", page.as_uri()))
        size = min(int(height.group(1)) if height else 2000, 2600)
        target = ROOT / "docs/pictures" / f"{name}.png"
        target.parent.mkdir(exist_ok=True)
        chromium(f"--window-size={WIDTH},{size}", f"--screenshot={target}", page.as_uri())
    subprocess.run(["pngquant", "--force", "--ext", ".png", "--strip", "64", str(target)], check=True)
    if target.stat().st_size > LARGEST:
        sys.exit(f"{target} is larger than {LARGEST} bytes: choose a smaller snapshot")
    print(json.dumps({"picture": str(target.relative_to(ROOT)), "bytes": target.stat().st_size, "height": size}))


def main() -> None:
    packages, wanted = sys.argv[1], sys.argv[2:]
    for name, snapshot, part, opened in PICTURES:
        path = ROOT / "tests" / snapshot
        if wanted and name not in wanted:
            continue
        if not path.exists():
            print(f"no {name}: {snapshot} is not there", file=sys.stderr)
            continue
        draw(packages, name, markdown(path, part), opened)


if __name__ == "__main__":
    main()
