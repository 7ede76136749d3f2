//! Samples to Prometheus text. The recorder of the `metrics` world is filled anew for each text, so that what is gone
//! from the switch is gone from the text, and nothing is counted twice.

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::samples::{Kind, Sample, Value};

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text, in the exposition format 0.0.4. Of two samples of the same metric and labels one is in it.
pub fn render(samples: &[Sample]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    let mut described = None;
    for Sample { metric, labels, value } in samples {
        if described != Some(*metric) {
            described = Some(*metric);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(metric.name.into(), None, metric.help.into()),
                Kind::Gauge => recorder.describe_gauge(metric.name.into(), None, metric.help.into()),
            }
        }
        let labels = metric.labels.iter().zip(labels);
        let labels: Vec<_> = labels.map(|(name, value)| Label::new(*name, value.clone())).collect();
        let key = Key::from_parts(metric.name, labels);
        match value {
            Value::Count(count) => recorder.register_counter(&key, &metadata).absolute(*count),
            Value::Level(level) => recorder.register_gauge(&key, &metadata).set(*level),
        }
    }
    recorder.handle().render()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::sync::Arc;

    use forwarding::fdb::FdbStats;

    use super::*;
    use crate::metrics::samples::{self, ALL};
    use crate::transaction::reply::{BondStatus, DeviceCounters, MemberProbe, MemberStatus, ProbeTarget};

    fn lines(samples: &[Sample]) -> Vec<String> {
        let mut lines: Vec<_> = render(samples).lines().map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
        lines.sort();
        lines
    }

    #[test]
    fn counters_of_a_device() {
        let counters = DeviceCounters {
            device: "eth1".into(),
            port: "bond0".into(),
            bridge: "br0".into(),
            rx_frames: 1,
            rx_bytes: 2,
            tx_frames: u64::MAX,
            tx_bytes: 0,
            drops: BTreeMap::from([("runt".into(), 5), ("reflected".into(), 6)]),
        };
        let mut all = Vec::new();
        samples::device(&mut all, &counters);
        let labels = r#"bridge="br0",port="bond0",device="eth1""#;
        assert_eq!(
            lines(&all),
            [
                format!("vswitch_device_drops_total{{{labels},reason=\"reflected\"}} 6"),
                format!("vswitch_device_drops_total{{{labels},reason=\"runt\"}} 5"),
                format!("vswitch_device_rx_bytes_total{{{labels}}} 2"),
                format!("vswitch_device_rx_frames_total{{{labels}}} 1"),
                format!("vswitch_device_tx_bytes_total{{{labels}}} 0"),
                format!("vswitch_device_tx_frames_total{{{labels}}} 18446744073709551615"),
            ]
        );
    }

    #[test]
    fn bonds_bridges_and_vlans() {
        let member = |name: &str, enabled| MemberStatus {
            name: name.into(),
            enabled,
            link_failures: 2,
            ..MemberStatus::default()
        };
        let probe = Some(MemberProbe { alive: true, ..MemberProbe::default() });
        let probed = MemberStatus { probe, held: Some(5), ..member("eth1", false) };
        let status = BondStatus {
            name: "bond0".into(),
            bridge: "br0".into(),
            mode: "active-backup".into(),
            active: Some("eth2".into()),
            active_changes: 3,
            carrier: true,
            targets: vec![ProbeTarget { target: "192.0.2.1".into(), answers: true, age: None }],
            members: vec![probed, member("eth2", true)],
            ..BondStatus::default()
        };
        let mut all = Vec::new();
        samples::bond(&mut all, &status);
        let stats = FdbStats { entries: 17, capacity: 8192, moved: 9, ..FdbStats::default() };
        samples::fdb(&mut all, "br0", &stats);
        samples::vlan(&mut all, "br0", 10, 4, 256);
        samples::build(&mut all);
        samples::fastpath(&mut all, true);
        samples::fastpath_device(&mut all, "eth1", 7);
        samples::fastpath_misses(&mut all, "mtu", 8);
        samples::count(&mut all, &samples::FASTPATH_QUEUE_DROPPED, [], 9);
        let found = lines(&all);
        for expected in [
            r#"vswitch_bond_active_changes_total{bridge="br0",bond="bond0"} 3"#,
            r#"vswitch_bond_carrier{bridge="br0",bond="bond0",mode="active-backup"} 1"#,
            r#"vswitch_bond_member_active{bridge="br0",bond="bond0",member="eth1"} 0"#,
            r#"vswitch_bond_member_active{bridge="br0",bond="bond0",member="eth2"} 1"#,
            r#"vswitch_bond_member_enabled{bridge="br0",bond="bond0",member="eth1"} 0"#,
            r#"vswitch_bond_member_link_failures_total{bridge="br0",bond="bond0",member="eth2"} 2"#,
            r#"vswitch_bond_member_probe_up{bridge="br0",bond="bond0",member="eth1"} 1"#,
            r#"vswitch_bond_member_held{bridge="br0",bond="bond0",member="eth1"} 1"#,
            r#"vswitch_bond_target_answers{bridge="br0",bond="bond0",target="192.0.2.1"} 1"#,
            "vswitch_fastpath_active 1",
            r#"vswitch_fastpath_frames_total{device="eth1"} 7"#,
            r#"vswitch_fastpath_misses_total{reason="mtu"} 8"#,
            "vswitch_fastpath_queue_dropped_total 9",
            r#"vswitch_fdb_capacity{bridge="br0"} 8192"#,
            r#"vswitch_fdb_changes_total{bridge="br0",change="moved"} 9"#,
            r#"vswitch_fdb_entries{bridge="br0"} 17"#,
            r#"vswitch_vlan_rx_bytes_total{bridge="br0",vlan="10"} 256"#,
        ] {
            assert!(found.iter().any(|line| line == expected), "{expected} is not in {found:#?}");
        }
        assert_eq!(found.len(), all.len());
    }

    #[test]
    fn help_and_type_once_a_metric() {
        let samples: Vec<_> = (ALL.iter())
            .flat_map(|metric| [metric, metric])
            .enumerate()
            .map(|(n, metric)| Sample {
                metric,
                labels: metric.labels.iter().map(|name| format!("{name}{n}").into()).collect(),
                value: if metric.kind == Kind::Counter { Value::Count(1) } else { Value::Level(1.0) },
            })
            .collect();
        let text = render(&samples);
        for metric in ALL {
            let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
            for line in
                [format!("# HELP {} {}", metric.name, metric.help), format!("# TYPE {} {kind}", metric.name)]
            {
                assert_eq!(text.lines().filter(|found| **found == line).count(), 1, "{line}\n{text}");
            }
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        }
        let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn odd_names_are_escaped() {
        let odd: Arc<str> = "a\"b\\c\nd".into();
        let mut all = Vec::new();
        samples::level(&mut all, &samples::FDB_ENTRIES, [&odd], 1.0);
        assert_eq!(lines(&all), [r#"vswitch_fdb_entries{bridge="a\"b\\c\nd"} 1"#]);
        assert_eq!(render(&[]).trim(), "");
    }
}
