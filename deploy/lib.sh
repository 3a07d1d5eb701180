# Sourced by the scripts beside it: messages, and installing what a fresh Debian machine lacks.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin"
target=${CARGO_TARGET_DIR:-$root/target}

say() { printf '\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
die() { printf '%s\n' "$*" >&2; exit 1; }

have_postgres() {
    [ -n "${EV_PG_BIN:-}" ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
}
have_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }
have() { command -v "$1" >/dev/null; }

# require PACKAGE... -- CHECK: installs the Debian packages unless CHECK succeeds.
require() {
    local packages=()
    while [ "$1" != -- ]; do packages+=("$1"); shift; done
    shift
    if "$@"; then return; fi
    missing+=("${packages[@]}")
}

# Installs what `require` found missing, with one question to sudo at most.
install_missing() {
    [ "${#missing[@]}" -gt 0 ] || return 0
    local line="apt-get install -y --no-install-recommends ${missing[*]}" sudo=()
    if [ "$(id -u)" != 0 ]; then
        if have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then sudo=(sudo)
        else die "Missing here: ${missing[*]}. As root, run:  $line"; fi
    fi
    have apt-get || die "Missing here, and this is not Debian: the packages that Debian calls ${missing[*]}"
    say "Installing ${missing[*]}"
    # We run a Postgres of our own; Debian's package must not start one beside it.
    local quiet=/etc/postgresql-common/createcluster.d/00-no-main-cluster.conf
    "${sudo[@]}" mkdir -p "$(dirname $quiet)"
    echo 'create_main_cluster = false' | "${sudo[@]}" tee $quiet >/dev/null
    local ok=0
    "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || ok=$?
    "${sudo[@]}" rm -f $quiet
    [ "$ok" = 0 ] || die "Could not install them. As root, try:  $line"
    missing=()
}
missing=()

# What every build and every run of the stack needs.
require_basics() {
    have cargo || die "Rust is missing: install it with rustup (https://rustup.rs), 1.95 or newer"
    require build-essential -- have cc
    require util-linux -- have setpriv
    require postgresql -- have_postgres
}
