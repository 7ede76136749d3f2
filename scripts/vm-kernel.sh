# shellcheck shell=bash
# Sourced by ./check: gets a Linux 6.1 for the tests that boot a virtual machine. Nothing is installed on this machine.
# To do only this: bash -c '. scripts/vm-kernel.sh && need_vm_kernel target/vm'

# What the tests need of a kernel, built in or as a module.
VM_OPTIONS="BLK_DEV_INITRD BONDING BPF_JIT BPF_SYSCALL BRIDGE DEBUG_INFO_BTF DEVTMPFS NET_CLS_ACT NET_CLS_BPF NET_NS
    NET_SCH_INGRESS NF_TABLES NF_TABLES_NETDEV PACKET SERIAL_8250_CONSOLE TUN VETH VIRTIO_CONSOLE VIRTIO_NET VIRTIO_PCI
    VLAN_8021Q"

# Puts boot/vmlinuz-VERSION and lib/modules/VERSION into directory $1, unless there is a kernel already, there or named by
# VSWITCH_VM_KERNEL. Says why it can't and returns 1.
need_vm_kernel() {
    local directory=$1 found
    if [ -n "${VSWITCH_VM_KERNEL:-}" ]; then
        return 0
    fi
    found=$(find "$directory/boot" -name 'vmlinuz-*' 2>/dev/null) || true
    if [ -n "$found" ]; then
        return 0
    fi
    if [ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ]; then
        echo "no kernel for virtual machines: getting one needs Debian or Ubuntu on amd64" >&2
        return 1
    fi
    # The small flavour first; the other has drivers of real machines too.
    fetch_vm_kernel "$directory" cloud-amd64 || fetch_vm_kernel "$directory" amd64
}

# Downloads Debian's newest kernel 6.1 of flavour $2 and unpacks it to directory $1, wholly or not at all.
fetch_vm_kernel() {
    local directory=$1 flavour=$2 package work
    package=$(newest_vm_kernel "$flavour")
    if [ -z "$package" ] && [ "$(id -u)" -eq 0 ]; then
        apt-get update >/dev/null 2>&1 || true
        package=$(newest_vm_kernel "$flavour")
    fi
    if [ -z "$package" ]; then
        echo "no kernel for virtual machines: apt knows no package linux-image-6.1.0-*-$flavour" >&2
        return 1
    fi
    mkdir -p "$directory" || return 1
    work=$(cd "$directory" && mktemp -d "$PWD/new.XXXXXX") || return 1
    echo "downloading $package"
    if unpack_vm_kernel "$package" "$work"; then
        # The image last: it says that all is there.
        rm -rf "${directory:?}/lib" "${directory:?}/boot" &&
            mv "$work/files/lib" "$work/files/boot" "$directory"
    else
        echo "no kernel for virtual machines: $package is of no use, see above" >&2
        false
    fi
    local status=$?
    rm -rf "$work"
    return "$status"
}

# The newest package of a flavour, nothing if there is none.
newest_vm_kernel() {
    apt-cache search --names-only "^linux-image-6\\.1\\.0-[0-9]+-$1\$" 2>/dev/null | awk '{ print $1 }' | sort -V | tail -n 1
}

# Unpacks package $1 below directory $2 and indexes its modules.
unpack_vm_kernel() {
    local package=$1 work=$2 config option
    (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$package" >/dev/null) || return 1
    dpkg-deb -x "$work"/*.deb "$work/files" || return 1
    config=$(echo "$work"/files/boot/config-*)
    for option in $VM_OPTIONS; do
        if ! grep -qE "^CONFIG_$option=[ym]\$" "$config"; then
            echo "$package lacks CONFIG_$option" >&2
            return 1
        fi
    done
    PATH="$PATH:/usr/sbin:/sbin" depmod -b "$work/files" "${config##*/config-}"
}
