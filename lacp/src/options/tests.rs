use super::*;

#[test]
fn defaults_are_linuxs() {
    let default = Options::default();
    let values: Vec<String> =
        Options::names().map(|name| format!("{name}={}", default.get(name).unwrap())).collect();
    assert_eq!(
        values.join(" "),
        "lacp_rate=slow lacp_active=on ad_select=stable ad_actor_sys_prio=65535 ad_actor_system=00:00:00:00:00:00 \
         ad_user_port_key=0 min_links=0 max_links=0 lacp_strict=off coupled_control=on"
    );
}

#[test]
fn values_by_name_or_number() {
    let cases = [
        ("lacp_rate", "fast", "fast"),
        ("lacp_rate", "0", "slow"),
        ("lacp_active", "0", "off"),
        ("ad_select", "bandwidth", "bandwidth"),
        ("ad_select", "2", "count"),
        ("ad_select", "3", "actor_port_prio"),
        ("ad_select", "default", "stable"),
        ("ad_actor_sys_prio", "1", "1"),
        ("ad_actor_system", "02:00:00:0A:00:ff", "02:00:00:0a:00:ff"),
        ("ad_user_port_key", "1023", "1023"),
        ("min_links", "2147483647", "2147483647"),
        ("max_links", "2", "2"),
        ("lacp_strict", "on", "on"),
        ("coupled_control", "off", "off"),
        ("coupled_control", "default", "on"),
    ];
    let mut options = Options::default();
    for (name, value, read) in cases {
        options.set(name, value).unwrap();
        assert_eq!(options.get(name).unwrap(), read, "{name}={value}");
    }
}

#[test]
fn what_linux_refuses_is_refused() {
    let cases = [
        ("lacp_rate", "2"),
        ("lacp_active", "passive"),
        ("ad_select", "4"),
        ("ad_actor_sys_prio", "0"),
        ("ad_actor_sys_prio", "65536"),
        ("ad_actor_system", "01:00:00:00:00:01"),
        ("ad_actor_system", "02:00:00:00:00"),
        ("ad_actor_system", "02:00:00:00:00:01:02"),
        ("ad_actor_system", "2:0:0:0:0:1"),
        ("ad_user_port_key", "1024"),
        ("min_links", "-1"),
        ("min_links", "2147483648"),
        ("max_links", ""),
        ("max_links", "99999999999999999999"),
        ("lacp_strict", "yes"),
    ];
    let mut options = Options::default();
    for (name, value) in cases {
        assert!(matches!(options.set(name, value), Err(OptionError::Value { .. })), "{name}={value}");
    }
    assert_eq!(options, Options::default());
    assert_eq!(
        options.set("lacp_rate", "quick").unwrap_err().to_string(),
        "\"quick\" is not a value of lacp_rate: it takes slow (0), fast (1)"
    );
    let unknown = options.set("lacp_time", "fast").unwrap_err().to_string();
    assert!(unknown.starts_with("there is no LACP option \"lacp_time\"; there are lacp_rate, "), "{unknown}");
}
