//! Files of modprobe.

use super::*;

fn import(text: &str) -> Outcome {
    crate::import::modprobe::plan(&source("m.conf", text), None)
}

fn good(text: &str) -> Plan {
    import(text).unwrap_or_else(|problems| panic!("{:?}", texts(&problems)))
}

fn bad(text: &str) -> Vec<String> {
    texts(&import(text).expect_err("there are problems"))
}

#[test]
fn options_of_one_bond() {
    let plan = good("alias bond0 bonding\noptions bond0 miimon=100 mode=1\n");
    assert_eq!(commands(&plan), "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 miimon=100 mode=1");
    assert_eq!(
        texts(&plan.notes),
        [
            "m.conf:1: bond0 is in br0; the file names no members: vsctl add-bond-iface bond0 DEVICE, or vsctl import ifcfg \
         DIRECTORY first"
        ]
    );
    for words in ["mode=1 miimon=100 downdelay=2000 updelay=5000", "mode=0 downdelay=0 updelay=5000"] {
        let plan = good(&format!("options bond0 {words}"));
        assert!(commands(&plan).ends_with(&format!("add-bond br0 bond0 {words}")));
    }
}

#[test]
fn several_bonds_with_common_options() {
    let plan = good(
        "# bonds\nalias netdev-bond0 bonding\nalias bond1\tbonding\n\noptions bonding miimon=100 \\\n  mode=active-backup\n\
         options bond1 mode=0 # no comment\n"
            .replace(" # no comment", "")
            .as_str(),
    );
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 miimon=100 mode=active-backup -- \
         --may-exist add-br br1 -- --may-exist add-bond br1 bond1 miimon=100 mode=0"
    );
    let plan = good("options bonding max_bonds=2 mode=1\n");
    assert_eq!(plan.steps.len(), 4);
    assert!(commands(&plan).ends_with("add-bond br1 bond1 mode=1"));
    let plan = good("options bonding mode=1 primary=eth0\n");
    assert!(commands(&plan).ends_with("add-bond br0 bond0 mode=1 primary=eth0"));
    let plan = good("alias bond0 bonding");
    assert!(commands(&plan).ends_with("add-bond br0 bond0 mode=balance-rr"));
}

#[test]
fn a_bridge_for_all_and_names_of_ones_own() {
    let text = "alias uplink bonding\noptions uplink mode=1";
    assert_eq!(
        bad(text),
        ["m.conf:1: here every bond is in a bridge; say with --bridge=NAME in which uplink is to be"]
    );
    let plan = crate::import::modprobe::plan(&source("m.conf", text), Some("lan")).unwrap();
    assert_eq!(commands(&plan), "--may-exist add-br lan -- --may-exist add-bond lan uplink mode=1");
    let two = source("m.conf", "options bond0 mode=1\noptions bond1 mode=1");
    let plan = crate::import::modprobe::plan(&two, Some("lan")).unwrap();
    assert_eq!(
        commands(&plan),
        "--may-exist add-br lan -- --may-exist add-bond lan bond0 mode=1 -- --may-exist add-bond lan bond1 mode=1"
    );
}

#[test]
fn other_lines() {
    let plan = good(
        "alias eth0 e1000\noptions e1000 debug=1\nblacklist floppy\ninstall bond1 /sbin/modprobe bonding -o bond1\n\
         include /etc/other.conf\nalias bond* bonding\noptions bond0 mode=1 tx_queues=8\nsoftdep a pre: b\n",
    );
    assert_eq!(commands(&plan), "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 mode=1");
    assert_eq!(
        texts(&plan.notes)[..5],
        [
            "m.conf:2: options of e1000 are ignored: no \"alias e1000 bonding\" makes it a bond",
            "m.conf:4: install is ignored; bonds are made as alias and options say",
            "m.conf:5: include is ignored; bonds are made as alias and options say",
            "m.conf:6: \"bond*\" names no bond; options bond0 ... does",
            "m.conf:7: bond0 is in br0; the file names no members: vsctl add-bond-iface bond0 DEVICE, or vsctl import ifcfg \
         DIRECTORY first",
        ]
    );
    assert!(texts(&plan.notes)[5].starts_with("m.conf:7: tx_queues=8 is left out"));
}

#[test]
fn problems_are_named_by_line() {
    assert_eq!(
        bad("options bond0 mode=1\noption bond1 mode=2\nalias x\noptions bond0\n"),
        [
            "m.conf:2: \"option\" is no command of modprobe; did you mean \"options\"?",
            "m.conf:3: an alias has two words: alias NAME DRIVER",
            "m.conf:4: options have a name and words: options bond0 mode=1",
        ]
    );
    let wrong = bad("options bond0 \\\n mode=9\n\noptions bond1 fast");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(
        wrong[0].starts_with("m.conf:1: bond0: bond option mode: \"9\" is not a valid value"),
        "{wrong:?}"
    );
    assert_eq!(wrong[1], "m.conf:4: \"fast\" is not OPTION=VALUE");
    // Named where the option is, not where the bond is.
    assert_eq!(
        bad("alias bond0 bonding\noptions bonding mode=0\noptions bond0 primary=eth0"),
        [
            "m.conf:3: bond0: bond option primary is not supported in mode balance-rr; clear it (primary=) or choose another \
         mode"
        ]
    );
    assert_eq!(
        bad("options bonding max_bonds=9999"),
        ["m.conf:1: max_bonds: \"9999\" is not a number from 0 to 256"]
    );
    assert_eq!(bad("options bond0 mode=\"1"), ["m.conf:1: a quote \" is never closed"]);
    assert_eq!(
        bad("\noptions bond0 mode=1\0"),
        ["m.conf:2: there is a NUL octet; this is no text file, or it is damaged"]
    );
    let nothing = "m.conf: nothing to import: there is no \"alias NAME bonding\", \"options bond0 ...\" or \"options \
                   bonding ...\"";
    assert_eq!(bad("blacklist x"), [nothing]);
    assert_eq!(bad("options bonding max_bonds=0"), [nothing]);
    let many: String = (0..300).map(|n| format!("alias bond{n} bonding\n")).collect();
    assert_eq!(bad(&many), ["m.conf:257: the file describes more than 256 bonds"]);
    assert_eq!(
        bad("alias a=b bonding"),
        ["m.conf:1: \"a=b\" can't be given to vsctl as a name: it begins with - or has a = in it"]
    );
}
