# shellcheck shell=bash
# common.sh: what the scripts share. Sourced, never run.
# Messages, root, packages, virtual environments, the Rust toolchain, background processes.
set -euo pipefail

# shellcheck disable=SC2034 # used by the scripts that source this one
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STATE=${XDG_CACHE_HOME:-$HOME/.cache}/landfall
mkdir -p "$STATE"

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { note "$*" && exit 1; }
# The text of the header comment: everything between the first line and the first line that is no comment.
usage() { awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; }

as_root() {
  if ((EUID == 0)); then "$@"; elif command -v sudo >/dev/null; then sudo -E -- "$@"; else
    die "needs root for: $* (run as root, or install sudo)"
  fi
}

apt() { # apt-get, bounded, quiet and logged
  as_root env DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -q -y -o Acquire::Retries=2 \
    -o DPkg::Lock::Timeout=300 "$@" >>"$STATE/apt.log" 2>&1 9>&-
}

need() { # package…: installs what is missing, without letting a package start its service
  local package missing=() policy=/usr/sbin/policy-rc.d made='' ok=1
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "please install ${missing[*]} (only apt-get can be driven from here)"
  note "installing ${missing[*]}"
  # Exit code 101 is "action forbidden by policy": the services are ours to start, on ports of our own.
  [[ -e $policy ]] || { made=1 && printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"; }
  apt install --no-install-recommends "${missing[@]}" ||
    { apt update && apt install --no-install-recommends "${missing[@]}"; } || ok=0
  [[ -z $made ]] || as_root rm -f "$policy"
  ((ok)) || die "apt-get could not install ${missing[*]}: $(grep -a '^E:' "$STATE/apt.log" | tail -n 1) (log: $STATE/apt.log)"
}

venv() { # name: prints the directory of a virtual environment holding scripts/requirements/NAME.txt, made once per content
  local list=$ROOT/scripts/requirements/$1.txt dir
  python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
  dir=$STATE/venv-$1-$( (python3 --version && cat "$list") | sha256sum | cut -c1-12)
  if [[ ! -e $dir/.complete ]]; then
    note "installing the Python tools of scripts/requirements/$1.txt"
    rm -rf "$dir" && python3 -m venv "$dir"
    "$dir/bin/pip" install -q --disable-pip-version-check --require-hashes --only-binary :all: -r "$list" >&2 ||
      die "pip could not install scripts/requirements/$1.txt"
    touch "$dir/.complete"
  fi
  printf '%s\n' "$dir"
}

# Puts a Rust that can build this package on PATH. The pinned toolchain is preferred; where rustup cannot provide it,
# any installed one that is equal or newer will do.
use_rust() {
  local home pinned name
  if ! command -v cargo >/dev/null; then
    for home in "$HOME" "$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)"; do
      [[ -x $home/.cargo/bin/cargo ]] || continue
      export CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup} PATH=$home/.cargo/bin:$PATH
      break
    done
  fi
  command -v cargo >/dev/null || die "Rust is missing: see https://rustup.rs"
  command -v cc >/dev/null || need gcc libc6-dev # ring and zstd-sys compile C and assembly
  pinned=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml")
  cd "$ROOT"
  if ! command -v rustup >/dev/null; then
    newer "$(cargo --version)" "$pinned" || die "cargo is older than $pinned"
    return
  fi
  rust_works && return
  note "fetching Rust $pinned"
  RUSTUP_AUTO_INSTALL=1 timeout 900 rustup toolchain install "$pinned" --profile minimal -c clippy -c rustfmt >&2 && rust_works && return
  for name in $(rustup toolchain list | cut -d' ' -f1); do
    export RUSTUP_TOOLCHAIN=$name
    if newer "$(cargo --version 2>/dev/null)" "$pinned" && rust_works; then
      note "Rust $pinned cannot be fetched here: using the installed $(cargo --version)"
      return
    fi
  done
  die "no Rust toolchain of version $pinned or newer with clippy and rustfmt is installed"
}
rust_works() { cargo --version && cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1
newer() { # "cargo 1.96.0 (…)" "1.95.0": whether the first is equal or newer
  [[ $(printf '%s\n' "$2" "$(awk '{print $2}' <<<"$1")" | sort -V | head -n 1) == "$2" ]]
}

free_port() { # address: prints a TCP port nobody listens on
  python3 -c 'import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])' "${1:-127.0.0.1}"
}

answers() { # http://address:port/path: whether an HTTP server answers there at all
  python3 - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.error, urllib.request
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=2)
except urllib.error.HTTPError:
    pass  # an answer all the same
PYTHON
}

answers_soon() { # URL: waits until the process launched last answers there; fails when it ends first
  local _
  for _ in {1..150}; do
    if answers "$1"; then return; fi
    kill -0 $! 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# A process of ours is known by its pid file, and by carrying the pid file's directory in its command line or environment:
# a number alone may by now belong to somebody else.
alive() { # pid file
  [[ -s $1 ]] && as_root grep -qazF -- "LANDFALL_PART=${1%/*}" "/proc/$(cat "$1")/environ"
} 2>/dev/null

launch() { # directory command…: starts a process in a session of its own, its pid and log in the directory
  local dir=$1 && shift
  mkdir -p "$dir" && rm -f "$dir/pid"
  # shellcheck disable=SC2016 # the inner shell expands
  LANDFALL_PART=$dir setsid bash -c 'echo $$ >"$0/pid" && exec "$@"' "$dir" "$@" >"$dir/log" 2>&1 </dev/null 8>&- 9>&- &
}

signal() { # name pid; a shell's own kill, as sudo would look for a program of that name
  # shellcheck disable=SC2016 # the inner shell expands
  as_root sh -c 'kill -s "$0" "$1"' "$1" "$2" || true
}

stop() { # pid file: TERM, twenty seconds, KILL
  local _
  if alive "$1"; then
    signal TERM "$(cat "$1")"
    for _ in {1..100}; do alive "$1" || break && sleep 0.2; done
    ! alive "$1" || signal KILL "$(cat "$1")"
  fi
  as_root rm -f "$1"
}

serve_moto() { # directory address: starts AWS's API on a free port; its URL lies in the directory afterwards
  local tools port _
  tools=$(venv parts)
  for _ in 1 2 3; do # somebody may take the free port before moto does
    port=$(free_port "$2")
    # There are no machines behind this API, so services count as running at once.
    launch "$1" env MOTO_ECS_SERVICE_RUNNING=1 "$tools/bin/moto_server" --host "$2" --port "$port"
    if answers_soon "http://$2:$port/moto-api/data.json"; then
      echo "http://$2:$port" >"$1/url"
      return
    fi
    stop "$1/pid"
  done
  die "moto does not start: $(tail -n 1 "$1/log") (log: $1/log)"
}
