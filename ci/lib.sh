# Functions of the scripts in this folder; sourced, not run. Each script starts in the root of the repository.

# say WORDS...: one line for people, on stderr.
say() { printf '%s\n' "$*" >&2; }

# die WORDS...: one sentence, exit code 6 (environment).
die() {
  say "$(basename "$0"): $*"
  exit 6
}

steps=""
started=$(date +%s)

# step NAME COMMAND...: runs the command, keeps how long it took; a failure ends the script with the command's code.
step() {
  local name=$1 begin code=0 took
  shift
  say "== $name: $*"
  begin=$(date +%s)
  "$@" || code=$?
  took=$(($(date +%s) - begin))
  steps="$steps$(printf '%6d s  %s%s' "$took" "$name" "$([ "$code" = 0 ] || printf ' (exit code %s)' "$code")")
"
  if [ "$code" != 0 ]; then
    step_times
    say "$(basename "$0"): step \"$name\" failed; to repeat it: $*"
    exit "$code"
  fi
}

# step_times: what every step took.
step_times() {
  say "== time"
  printf '%s' "$steps" >&2
  say "$(printf '%6d s  in total' $(($(date +%s) - started)))"
}

# configure PRESET: once; cmake runs again by itself when its inputs change.
configure() {
  [ -f "build/$1/build.ninja" ] || cmake --preset "$1" >&2
}

# build PRESET [TARGET...]: uses every core that this process may use.
build() {
  local preset=$1
  shift
  configure "$preset" || return
  if [ $# -gt 0 ]; then
    cmake --build --preset "$preset" -j "$(nproc)" --target "$@" >&2
  else
    cmake --build --preset "$preset" -j "$(nproc)" >&2
  fi
}

# The compiler cache may share results between checkouts; it stays where the user has it, or inside the build folder.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD}
export CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
if [ -z "${CCACHE_DIR:-}" ] && [ ! -w "${HOME:-/nonexistent}" ]; then
  export CCACHE_DIR="$PWD/build/ccache"
fi
