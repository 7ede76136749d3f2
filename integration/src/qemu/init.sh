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

# Answers turn $1 with status $2. Few programs, since starting one takes long here; and just as many bytes as the line
# says, since a process left behind may still write.
answer() {
    out=$work/stdout$1
    err=$work/stderr$1
    sizes=$(stat -c %s "$out" "$err")
    size_out=${sizes%%[!0-9]*}
    size_err=${sizes##*[!0-9]}
    printf '%s %s %s\n' "$2" "$size_out" "$size_err" >&3
    if [ "$size_out" -gt 0 ]; then head -c "$size_out" "$out" >&3; fi
    if [ "$size_err" -gt 0 ]; then head -c "$size_err" "$err" >&3; fi
    : >"$out"
    : >"$err"
}

uname -r >$work/stdout0
status=0
while read -r module; do
    # shellcheck disable=SC2086 # a name and parameters
    modprobe $module || status=1
done </etc/vm-modules 2>$work/stderr0
exec 3<>/dev/vport0p1 || exit
answer 0 $status

turn=0
while read -r seconds size <&3; do
    # Files of its own for each turn, for the same reason.
    turn=$((turn + 1))
    head -c "$size" <&3 >$work/script
    timeout -k 1 "$seconds" sh $work/script </dev/null >$work/stdout$turn 2>$work/stderr$turn 3>&-
    answer $turn $?
done
