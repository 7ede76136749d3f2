# shellcheck shell=bash
# Sourced by ./demo and ./check: makes sure that programs are there.

# Takes words of the form program:package. Installs the packages of missing programs if we may; otherwise says which are
# missing and returns 1.
need_programs() {
    local missing=() packages=() word
    for word in "$@"; do
        if ! PATH="$PATH:/usr/sbin:/sbin" command -v "${word%%:*}" >/dev/null; then
            missing+=("${word%%:*}")
            packages+=("${word#*:}")
        fi
    done
    need_packages
}

# The same for files: words of the form path:package.
need_files() {
    local missing=() packages=() word
    for word in "$@"; do
        if [ ! -e "${word%%:*}" ]; then
            missing+=("${word%%:*}")
            packages+=("${word#*:}")
        fi
    done
    need_packages
}

# Installs the caller's packages for what is missing, if anything is.
need_packages() {
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${packages[*]}"
        if install_packages "${packages[@]}"; then
            return 0
        fi
    fi
    echo "missing: ${missing[*]} (Debian and Ubuntu: apt-get install ${packages[*]})" >&2
    return 1
}

# Installs packages without starting the services they bring.
install_packages() {
    local policy=/usr/sbin/policy-rc.d ours=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        ours=yes
    fi
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null ||
            { apt-get update &&
                DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null; }
    } >/dev/null || status=1
    if [ "$ours" = yes ]; then
        rm -f "$policy"
    fi
    return "$status"
}

# Says what to do if there is no Rust.
need_cargo() {
    if ! command -v cargo >/dev/null; then
        echo "missing: cargo, with Rust 1.95 or newer (https://rustup.rs)" >&2
        return 1
    fi
}

# Whether a plain user may have network namespaces of his own.
may_unshare() {
    unshare -Urn true 2>/dev/null
}
