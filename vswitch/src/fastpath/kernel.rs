//! The loaded program and its maps.

use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use aya::maps::{Array, ArrayOfMaps, Map, MapData, MapInfo, PerCpuArray, PerCpuHashMap, PerCpuValues};
use aya::programs::SchedClassifier;
use aya::util::{KernelVersion, nr_cpus};
use aya::{Ebpf, EbpfError, EbpfLoader};
use forwarding::fdb::{Fdb, FdbConfig};

use super::encode::Image;
use super::guests::Guests;
use super::layout::{
    Bridge, BucketLoads, BucketTable, Control, Device, DeviceStats, GuestKey, INDEX_BUCKETS, IndexBucket,
    LAYOUT, MAX_BRIDGES, MAX_BUCKET_TABLES, MAX_BUCKETS, MAX_DEVICES, MAX_FDBS, MAX_GUESTS, MAX_PORTS,
    MAX_RECEIVES, MAX_VLAN_SETS, MISSES, Port, Receive, VlanSet, VlanStats,
};
use super::pins::Pins;
use super::shared::{FdbMemory, Shared, fence};

/// The program, made from `bpf/forward.bpf.c` by `bpf/build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/forward.bpf.o");
const PROGRAM: &str = "vsw_forward";
// linux/bpf.h
const BPF_F_MMAPABLE: u32 = 1 << 10;
const BPF_F_INNER_MAP: u32 = 1 << 12;
/// Kernels from this one on have tcx links; older ones get a filter at the clsact qdisc.
const FIRST_WITH_TCX: KernelVersion = KernelVersion::new(6, 6, 0);

// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for DeviceStats {}
// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for VlanStats {}
// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for GuestKey {}

/// Words of an FDB's bucket.
type FdbBucket = [u64; 8];

/// Size of a pinned map: name, key, value, entries.
const PINNED: [(&str, usize, usize, usize); 13] = [
    ("vsw_control", 4, size_of::<Control>(), 1),
    ("vsw_index", 4, size_of::<IndexBucket>(), 2 * INDEX_BUCKETS),
    ("vsw_devices", 4, size_of::<Device>(), 2 * MAX_DEVICES),
    ("vsw_ports", 4, size_of::<Port>(), 2 * MAX_PORTS),
    ("vsw_bridges", 4, size_of::<Bridge>(), 2 * MAX_BRIDGES),
    ("vsw_vlan_sets", 4, size_of::<VlanSet>(), 2 * MAX_VLAN_SETS),
    ("vsw_buckets", 4, size_of::<BucketTable>(), 2 * MAX_BUCKET_TABLES),
    ("vsw_receives", 4, size_of::<Receive>(), 2 * MAX_RECEIVES),
    ("vsw_guests", size_of::<GuestKey>(), size_of::<u64>(), MAX_GUESTS),
    ("vsw_fdbs", 4, 4, MAX_FDBS),
    ("vsw_device_stats", 4, size_of::<DeviceStats>(), MAX_DEVICES),
    ("vsw_misses", 4, size_of::<u64>(), MISSES.len()),
    ("vsw_vlan_stats", 4, size_of::<VlanStats>(), 16384),
];

/// How the program is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Write each frame's verdict into its control block, for tests.
    pub show_verdict: bool,
}

/// Maps written by way of their mappings, both copies of the tables one behind the other.
#[derive(Debug)]
struct Tables {
    control: Shared<Control>,
    index: Shared<IndexBucket>,
    devices: Shared<Device>,
    ports: Shared<Port>,
    bridges: Shared<Bridge>,
    vlan_sets: Shared<VlanSet>,
    buckets: Shared<BucketTable>,
    receives: Shared<Receive>,
}

impl Tables {
    /// Writes a copy. What is not in the image is cleared, as far as it may not be zero.
    fn write(&self, copy: usize, image: &Image, written: Written) {
        fn fill<T: Copy + Default + zerocopy::FromBytes + zerocopy::IntoBytes>(
            to: &Shared<T>,
            start: usize,
            values: &[T],
            written: usize,
        ) {
            for (number, value) in values.iter().enumerate() {
                to.write(start + number, *value);
            }
            (values.len()..written).for_each(|number| to.write(start + number, T::default()));
        }
        fill(&self.devices, copy * MAX_DEVICES, &image.devices, written.devices);
        fill(&self.ports, copy * MAX_PORTS, &image.ports, written.ports);
        fill(&self.bridges, copy * MAX_BRIDGES, &image.bridges, written.bridges);
        fill(&self.index, copy * INDEX_BUCKETS, &image.index, 0);
        // Read only by number, so that nothing need be cleared.
        for (number, set) in image.vlan_sets.iter().enumerate() {
            self.vlan_sets.write(copy * MAX_VLAN_SETS + number, *set);
        }
        for (number, table) in image.tables.iter().enumerate() {
            self.buckets.write(copy * MAX_BUCKET_TABLES + number, *table);
        }
        for (number, receive) in image.receives.iter().enumerate() {
            self.receives.write(copy * MAX_RECEIVES + number, *receive);
        }
    }
}

/// How many entries of a copy may not be zero.
#[derive(Debug, Clone, Copy)]
struct Written {
    devices: usize,
    ports: usize,
    bridges: usize,
}

/// The program in the kernel.
pub struct Kernel {
    ebpf: Ebpf,
    tables: Tables,
    written: [Written; 2],
    fdbs: ArrayOfMaps<MapData, Array<MapData, FdbBucket>>,
    /// Stands in the place of FDBs that are gone, so that their memory is free.
    no_fdb: Array<MapData, FdbBucket>,
    guests: Guests,
    device_stats: PerCpuArray<MapData, DeviceStats>,
    misses: PerCpuArray<MapData, u64>,
    vlan_stats: PerCpuHashMap<MapData, u32, VlanStats>,
    bucket_loads: PerCpuArray<MapData, BucketLoads>,
    cpus: usize,
    pins: Pins,
    has_tcx: bool,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("pins", &self.pins).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads the program, with the maps that an earlier daemon has left where they are pinned, or new ones.
    ///
    /// # Errors
    /// The kernel or our privileges don't allow it; the text says what was tried and what the kernel said.
    pub fn load(pins: Pins, options: LoadOptions) -> anyhow::Result<Self> {
        pins.create()?;
        if let Err(problem) = check_pinned(&pins) {
            tracing::warn!(problem, "the pinned maps are not ours; they are made anew");
            pins.remove_current()?;
            pins.create()?;
        }
        let show_verdict = u8::from(options.show_verdict);
        let mut ebpf = EbpfLoader::new()
            .btf(None)
            .default_map_pin_directory(pins.directory())
            .override_global("vsw_show_verdict", &show_verdict, true)
            .load(OBJECT)
            .map_err(maps_refused)?;
        let program: &mut SchedClassifier =
            ebpf.program_mut(PROGRAM).context("no program in the object")?.try_into()?;
        program.load().context("the kernel refuses the BPF program")?;
        let tables = Tables {
            control: map(&ebpf, "vsw_control", 1)?,
            index: map(&ebpf, "vsw_index", 2 * INDEX_BUCKETS)?,
            devices: map(&ebpf, "vsw_devices", 2 * MAX_DEVICES)?,
            ports: map(&ebpf, "vsw_ports", 2 * MAX_PORTS)?,
            bridges: map(&ebpf, "vsw_bridges", 2 * MAX_BRIDGES)?,
            vlan_sets: map(&ebpf, "vsw_vlan_sets", 2 * MAX_VLAN_SETS)?,
            buckets: map(&ebpf, "vsw_buckets", 2 * MAX_BUCKET_TABLES)?,
            receives: map(&ebpf, "vsw_receives", 2 * MAX_RECEIVES)?,
        };
        tables.control.atomic_u32(0, offset_of!(Control, layout)).store(LAYOUT, Ordering::SeqCst);
        let all = Written { devices: MAX_DEVICES, ports: MAX_PORTS, bridges: MAX_BRIDGES };
        let no_fdb = Array::create(1, BPF_F_MMAPABLE | BPF_F_INNER_MAP)?;
        Ok(Self {
            tables,
            written: [all; 2],
            fdbs: take(&mut ebpf, "vsw_fdbs")?.try_into()?,
            no_fdb,
            guests: Guests::new(take(&mut ebpf, "vsw_guests")?.try_into()?),
            device_stats: take(&mut ebpf, "vsw_device_stats")?.try_into()?,
            misses: take(&mut ebpf, "vsw_misses")?.try_into()?,
            vlan_stats: take(&mut ebpf, "vsw_vlan_stats")?.try_into()?,
            bucket_loads: take(&mut ebpf, "vsw_bucket_loads")?.try_into()?,
            ebpf,
            cpus: nr_cpus().map_err(|(path, error)| anyhow::anyhow!("{path}: {error}"))?,
            pins,
            has_tcx: KernelVersion::current().is_ok_and(|version| version >= FIRST_WITH_TCX),
        })
    }

    /// Where everything is pinned.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The kernel has tcx links.
    pub fn has_tcx(&self) -> bool {
        self.has_tcx
    }

    /// The program.
    ///
    /// # Errors
    /// Never, once loaded.
    pub fn program(&mut self) -> anyhow::Result<&mut SchedClassifier> {
        Ok(self.ebpf.program_mut(PROGRAM).context("no program in the object")?.try_into()?)
    }

    /// The program, to look at.
    ///
    /// # Errors
    /// Never, once loaded.
    pub fn loaded_program(&self) -> anyhow::Result<&SchedClassifier> {
        Ok(self.ebpf.program(PROGRAM).context("no program in the object")?.try_into()?)
    }

    /// Puts tables into force: all of them at once, for every frame that comes from now on.
    pub fn publish(&mut self, image: &Image) {
        self.guests.add(&image.guests);
        self.publish_tables(image);
        self.guests.keep(&image.guests);
    }

    fn publish_tables(&mut self, image: &Image) {
        let control = &self.tables.control;
        let active = control.atomic_u32(0, offset_of!(Control, active));
        let copy = 1 - (active.load(Ordering::SeqCst) & 1) as usize;
        let seq = control.atomic_u64(0, offset_of!(Control, seq) + 8 * copy);
        // Odd; also if a daemon died while it wrote.
        let writing = seq.load(Ordering::SeqCst) | 1;
        let writing = if writing == seq.load(Ordering::SeqCst) { writing + 2 } else { writing };
        seq.store(writing, Ordering::SeqCst);
        fence();
        self.tables.write(copy, image, self.written[copy]);
        fence();
        seq.store(writing + 1, Ordering::SeqCst);
        active.store(copy as u32, Ordering::SeqCst);
        self.written[copy] =
            Written { devices: image.devices.len(), ports: image.ports.len(), bridges: image.bridges.len() };
    }

    /// The tables in force, as an earlier daemon has left them.
    pub fn read(&self) -> Image {
        let tables = &self.tables;
        let active = tables.control.atomic_u32(0, offset_of!(Control, active)).load(Ordering::SeqCst) & 1;
        let copy = active as usize;
        Image {
            devices: (0..MAX_DEVICES).map(|n| tables.devices.read(copy * MAX_DEVICES + n)).collect(),
            ports: (0..MAX_PORTS).map(|n| tables.ports.read(copy * MAX_PORTS + n)).collect(),
            bridges: (0..MAX_BRIDGES).map(|n| tables.bridges.read(copy * MAX_BRIDGES + n)).collect(),
            vlan_sets: (0..MAX_VLAN_SETS).map(|n| tables.vlan_sets.read(copy * MAX_VLAN_SETS + n)).collect(),
            tables: (0..MAX_BUCKET_TABLES)
                .map(|n| tables.buckets.read(copy * MAX_BUCKET_TABLES + n))
                .collect(),
            receives: (0..MAX_RECEIVES).map(|n| tables.receives.read(copy * MAX_RECEIVES + n)).collect(),
            guests: self.guests.known().clone(),
            index: (0..INDEX_BUCKETS).map(|n| tables.index.read(copy * INDEX_BUCKETS + n)).collect(),
            left_out: Vec::new(),
        }
    }

    /// A new FDB in a map, under a number that no bridge in force has.
    ///
    /// # Errors
    /// No memory for the map.
    pub fn make_fdb(&mut self, number: u16, config: FdbConfig) -> anyhow::Result<Fdb> {
        let buckets = Fdb::buckets_for(config.capacity);
        let path = self.pins.fdb(number);
        let _none_left = std::fs::remove_file(&path);
        let map: Array<MapData, FdbBucket> =
            Array::create(buckets as u32, BPF_F_MMAPABLE | BPF_F_INNER_MAP).context("no room for an FDB")?;
        self.fdbs.set(number.into(), &map, 0)?;
        map.pin(&path)?;
        self.adopt_fdb(number, config)
    }

    /// The FDB that an earlier daemon has left under a number.
    ///
    /// # Errors
    /// There is none, or of another size.
    pub fn adopt_fdb(&self, number: u16, config: FdbConfig) -> anyhow::Result<Fdb> {
        let map = MapData::from_pin(self.pins.fdb(number))?;
        let buckets = Fdb::buckets_for(config.capacity);
        if map.info()?.max_entries() as usize != buckets {
            bail!("FDB {number} has another size");
        }
        let memory = FdbMemory::map(map.fd().as_fd(), buckets)?;
        Fdb::shared(config, Box::new(memory)).context("FDB of another size")
    }

    /// Frees an FDB's number and, when the last who looks at it is done, its memory.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn drop_fdb(&mut self, number: u16) -> anyhow::Result<()> {
        self.fdbs.set(number.into(), &self.no_fdb, 0)?;
        std::fs::remove_file(self.pins.fdb(number))?;
        Ok(())
    }

    /// What a device carried, and by how many it was interrupted.
    pub fn device_stats(&self, device: u16) -> DeviceStats {
        let Ok(values) = self.device_stats.get(&device.into(), 0) else { return DeviceStats::default() };
        values.iter().fold(DeviceStats::default(), |sum, cpu| DeviceStats {
            rx_frames: sum.rx_frames + cpu.rx_frames,
            rx_bytes: sum.rx_bytes + cpu.rx_bytes,
            tx_frames: sum.tx_frames + cpu.tx_frames,
            tx_bytes: sum.tx_bytes + cpu.tx_bytes,
        })
    }

    /// Counts a device's frames from 0 again.
    pub fn clear_device_stats(&mut self, device: u16) {
        let zero = PerCpuValues::try_from(vec![DeviceStats::default(); self.cpus]);
        if let Ok(zero) = zero
            && let Err(error) = self.device_stats.set(device.into(), zero, 0)
        {
            tracing::warn!(%error, "counters can't be cleared");
        }
    }

    /// Frames left to the daemon, in the order of [`MISSES`].
    pub fn misses(&self) -> [u64; MISSES.len()] {
        std::array::from_fn(|reason| match self.misses.get(&(reason as u32), 0) {
            Ok(values) => values.iter().sum(),
            Err(_) => 0,
        })
    }

    /// What came into the VLANs of a bridge: VLAN, frames, octets.
    pub fn vlan_stats(&self) -> Vec<(u16, u16, VlanStats)> {
        let entries = self.vlan_stats.iter().flatten();
        let sum = |values: PerCpuValues<VlanStats>| {
            values.iter().fold(VlanStats::default(), |sum, cpu| VlanStats {
                frames: sum.frames + cpu.frames,
                bytes: sum.bytes + cpu.bytes,
            })
        };
        entries.map(|(key, values)| ((key >> 16) as u16, key as u16, sum(values))).collect()
    }

    /// Octets that left by each bucket of the port that has the counters with this number. One system call.
    pub fn bucket_loads(&self, number: u8) -> BucketLoads {
        let mut sums = [0_u64; MAX_BUCKETS];
        let Ok(values) = self.bucket_loads.get(&number.into(), 0) else { return sums };
        for cpu in values.iter() {
            for (sum, octets) in sums.iter_mut().zip(cpu) {
                *sum = sum.wrapping_add(*octets);
            }
        }
        sums
    }

    /// Counts from 0 again, for another port.
    pub fn clear_bucket_loads(&mut self, number: u8) {
        let zero = PerCpuValues::try_from(vec![[0_u64; MAX_BUCKETS]; self.cpus]);
        if let Ok(zero) = zero
            && let Err(error) = self.bucket_loads.set(number.into(), zero, 0)
        {
            tracing::warn!(%error, "the loads of buckets can't be cleared");
        }
    }

    /// Forgets what came into the VLANs of a bridge, whose number is free now.
    pub fn clear_vlan_stats(&mut self, bridge: u16) {
        let keys: Vec<u32> =
            self.vlan_stats.keys().flatten().filter(|key| key >> 16 == u32::from(bridge)).collect();
        for key in keys {
            let _gone = self.vlan_stats.remove(&key);
        }
    }
}

/// Why the maps can't be made, and what to do if that is a matter of privileges.
fn maps_refused(error: EbpfError) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    // The outermost text repeats that of its cause.
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let why = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    let cure = match cause.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => {
            "; this needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, which have no effect in a user namespace"
        }
        _ => "",
    };
    anyhow::anyhow!("the BPF maps can't be made: {why}{cure}")
}

/// Whether what is pinned fits what we would make. The directory's name tells the layout; this tells somebody else's maps.
fn check_pinned(pins: &Pins) -> Result<(), String> {
    for (name, key, value, entries) in PINNED {
        let path = pins.directory().join(name);
        if !path.exists() {
            continue;
        }
        let info = MapInfo::from_pin(&path).map_err(|error| format!("{name}: {error}"))?;
        let found = [info.key_size(), info.value_size(), info.max_entries()].map(|number| number as usize);
        if found != [key, value, entries] {
            return Err(format!("{name} has sizes {found:?} instead of {:?}", [key, value, entries]));
        }
    }
    Ok(())
}

fn take(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<Map> {
    ebpf.take_map(name).with_context(|| format!("no map {name} in the object"))
}

fn map<T: zerocopy::FromBytes + zerocopy::IntoBytes + Copy>(
    ebpf: &Ebpf,
    name: &str,
    len: usize,
) -> anyhow::Result<Shared<T>> {
    let Some(Map::Array(data)) = ebpf.map(name) else { bail!("no array {name} in the object") };
    Shared::map(data.fd().as_fd(), len).with_context(|| format!("{name} can't be mapped"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fastpath::layout::MAX_LOADS;

    /// The object that is built in has the maps that we expect, of these sizes.
    #[test]
    fn the_object_is_of_this_layout() {
        let object = aya_obj_maps();
        for (name, key, value, entries) in PINNED {
            let found = object.iter().find(|map| map.0 == name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!((found.1, found.2, found.3), (key, value, entries), "{name}");
        }
        let loads = object.iter().find(|map| map.0 == "vsw_bucket_loads").expect("counters of buckets");
        assert_eq!((loads.2, loads.3), (size_of::<BucketLoads>(), MAX_LOADS));
    }

    fn aya_obj_maps() -> Vec<(String, usize, usize, usize)> {
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        let size = |map: &aya_obj::Map| (map.key_size(), map.value_size(), map.max_entries());
        let maps = object.maps.iter().map(|(name, map)| (name.clone(), size(map)));
        maps.map(|(name, (key, value, entries))| (name, key as usize, value as usize, entries as usize))
            .collect()
    }
}
