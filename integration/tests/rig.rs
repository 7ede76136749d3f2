//! The virtual machines that other tests use.

use std::time::Duration;

use anyhow::Result;
use integration::qemu::Vm;
use integration::testing::vm_turn;

#[test]
fn boots() -> Result<()> {
    let Some(_turn) = vm_turn(&[])? else { return Ok(()) };
    let mut vm = Vm::builder().module("veth").start()?;
    eprintln!("{} in {:?}", vm.release(), vm.boot_time());
    println!("{}", vm.console_tail(100));
    let t = std::time::Instant::now();
    println!("{:?}", vm.run("dmesg | tail -50; ls -l /bin/ip; ip link; mount; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; lsmod; free; nproc", Duration::from_secs(10))?);
    println!("{:?}", t.elapsed());
    let t = std::time::Instant::now();
    println!("{:?}", vm.run("exit 3", Duration::from_secs(10))?);
    println!("{:?}", t.elapsed());
    Ok(())
}
