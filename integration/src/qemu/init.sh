#!/bin/sh
# The first process of a virtual machine. Loads the modules listed in /etc/vm-modules, then runs the scripts that come
# through the control port: a line "SECONDS SIZE", then SIZE bytes of script. Each answer, and the first one unasked, is
# a line "STATUS SIZE SIZE", then what was written to standard output and standard error. Its own messages go to the
# console.
export PATH=/usr/bin HOME=/root LC_ALL=C

mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
work=/run/vm
mkdir /run/vm /run/lock

answer() {
    printf '%s %s %s\n' "$1" "$(stat -c %s "$work/stdout$2")" "$(stat -c %s "$work/stderr$2")" >&3
    cat "$work/stdout$2" "$work/stderr$2" >&3
    rm -f "$work/stdout$2" "$work/stderr$2"
}

uname -r >$work/stdout0
status=0
while read -r module; do
    # shellcheck disable=SC2086 # a name and parameters
    modprobe $module || status=1
done </etc/vm-modules 2>$work/stderr0
exec 3<>/dev/vport0p1 || exit
answer $status 0

turn=0
while read -r seconds size <&3; do
    # A process left behind may still write to the files of its turn.
    turn=$((turn + 1))
    head -c "$size" <&3 >$work/script
    timeout -k 1 "$seconds" sh $work/script </dev/null >$work/stdout$turn 2>$work/stderr$turn 3>&-
    answer $? $turn
done
