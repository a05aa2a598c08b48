//! Sessions themselves: who is let in and who is not, pings both ways, discovery, and which session a login replaces.

use crate::peers::array::{Array, TARGET};
use crate::processes::initiator::{GOOD, Initiator, Login};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NAME: &str = "iqn.2026-11.example.test:a";
const SECRET: &str = "correct-horse-battery";

const LOGIN: Login<'_> = Login {
    name: NAME,
    isid: [0x80, 0, 0, 0, 0, 1],
    target: TARGET,
    tsih: 0,
    cid: 0,
    account: None,
    retain: 0,
};

fn folder() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

/// The status of a login that is refused.
fn refused(portal: SocketAddr, login: &Login<'_>) -> String {
    status(Initiator::log_in(portal, login).map(drop))
}

/// The status of a login of one request.
fn refused_text(portal: SocketAddr, login: &Login<'_>, flags: u8, text: &str) -> String {
    let mut session = Initiator::connect(portal).expect("the array listens");
    let status = status(session.login_step(login, flags, text).map(drop));
    assert!(session.is_hung_up(), "a refused login is followed by the end of the connection");
    status
}

fn status(login: std::io::Result<()>) -> String {
    match login {
        Ok(()) => "0000".to_owned(),
        Err(error) => {
            let said = error.to_string();
            said.strip_prefix("login refused: ").unwrap_or_else(|| panic!("{said}")).to_owned()
        }
    }
}

fn chap_file(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("chap");
    std::fs::write(&path, format!("user\n{SECRET}\n")).expect("the folder can be written");
    path
}

/// RFC 7143, 11.13.5: 0201h is an initiator that has not proved who it is.
#[test]
fn chap_lets_in_who_knows_the_secret_and_nobody_else() {
    let folder = folder();
    let path = chap_file(&folder);
    let array = Array::start(&folder, &["--chap", &path.to_string_lossy()]);
    let portal = array.portals[1];
    let with = |user, secret| Login { account: Some((user, secret)), ..LOGIN };
    let mut session = Initiator::log_in(portal, &with("user", SECRET)).expect("it knows the secret");
    assert_eq!(session.write(0, &[1; 512]).expect("it is answered").status, GOOD);
    assert_eq!(refused(portal, &with("user", "correct-horse-batterz")), "0201");
    assert_eq!(refused(portal, &with("user", "")), "0201");
    assert_eq!(refused(portal, &with("other", SECRET)), "0201");
    // Straight to the operational stage, and a security stage in which nobody proves anything.
    assert_eq!(refused(portal, &LOGIN), "0201");
    let names = format!("InitiatorName={NAME}\0TargetName={TARGET}\0SessionType=Normal\0");
    assert_eq!(refused_text(portal, &LOGIN, 0x81, &format!("{names}AuthMethod=None\0")), "0201");
    assert_eq!(refused_text(portal, &LOGIN, 0x81, &names), "0201");
    assert_eq!(
        refused_text(portal, &LOGIN, 0x00, &format!("{names}AuthMethod=CHAP\0CHAP_N=user\0CHAP_R=0x00\0")),
        "0201"
    );
    // Discovery needs it as well.
    let discovery = format!("InitiatorName={NAME}\0SessionType=Discovery\0");
    assert_eq!(refused_text(portal, &LOGIN, 0x87, &discovery), "0201");
    // None of that has touched the session: a login that fails replaces nothing.
    assert_eq!(session.read(0, 1).expect("it is answered").data, [1; 512]);
    array.stop();
}

#[test]
fn logins_that_cannot_be_are_refused_with_their_status() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let portal = array.portals[0];
    let mut session = Initiator::log_in(portal, &LOGIN).expect("it may log in");
    let tsih = session.tsih;
    assert_ne!(tsih, 0, "a session has a TSIH");
    assert_eq!(refused(portal, &Login { target: "iqn.2026-11.example.redline:other", ..LOGIN }), "0203");
    let no_name = format!("TargetName={TARGET}\0SessionType=Normal\0");
    assert_eq!(refused_text(portal, &LOGIN, 0x87, &no_name), "0207");
    let no_target = format!("InitiatorName={NAME}\0SessionType=Normal\0");
    assert_eq!(refused_text(portal, &LOGIN, 0x87, &no_target), "0207");
    // A TSIH names a session: none has this one, and that one has its one connection.
    assert_eq!(refused(portal, &Login { tsih: tsih ^ 0x5555, ..LOGIN }), "020a");
    assert_eq!(refused(portal, &Login { tsih, cid: 1, ..LOGIN }), "0206");
    assert_eq!(session.write(0, &[1; 512]).expect("it is answered").status, GOOD);
    // Connection reinstatement: the same CID takes the place of the connection.
    let mut again = Initiator::log_in(portal, &Login { tsih, ..LOGIN }).expect("it takes its place");
    assert!(session.is_hung_up());
    assert_eq!(again.tsih, tsih);
    assert_eq!(again.read(0, 1).expect("it is answered").data, [1; 512]);
    assert_eq!(again.logout().expect("it is answered"), 0);
    assert!(again.is_hung_up());
    array.stop();
}

#[test]
fn discovery_lists_each_portal_with_its_group() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let mut session = Initiator::connect(array.portals[0]).expect("the array listens");
    let keys = format!("InitiatorName={NAME}\0SessionType=Discovery\0");
    session.login_step(&LOGIN, 0x87, &keys).expect("it may log in");
    let targets = session.text("SendTargets=All\0").expect("it is answered");
    let [one, two] = &array.portals[..] else { panic!("two portals") };
    assert_eq!(targets, format!("TargetName={TARGET}\0TargetAddress={one},1\0TargetAddress={two},2\0"));
    array.stop();
}

#[test]
fn pings_come_back_with_their_data() {
    let folder = folder();
    let array = Array::start(&folder, &[]);
    let mut session = Initiator::log_in(array.portals[0], &LOGIN).expect("it may log in");
    for length in [0, 1, 3, 4, 48, 4001] {
        let data: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        assert_eq!(session.ping(&data).expect("it is answered"), data);
    }
    assert_eq!(session.write(0, &[1; 512]).expect("it is answered").status, GOOD);
    array.stop();
}

#[test]
fn a_silent_initiator_is_pinged_and_dropped_if_it_does_not_answer() {
    let folder = folder();
    let array = Array::start(&folder, &["--ping-after", "1s"]);
    let mut lively = Initiator::log_in(array.portals[0], &LOGIN).expect("it may log in");
    let lively = std::thread::spawn(move || {
        lively.wait_for_pings(2)?;
        lively.write(0, &[1; 512])
    });
    let other = Login { isid: [0x80, 0, 0, 0, 0, 2], ..LOGIN };
    let began = Instant::now();
    let mut deaf = Initiator::log_in(array.portals[0], &other).expect("it may log in");
    deaf.is_deaf = true;
    deaf.wait_for_pings(1).expect("it is asked");
    assert!(deaf.is_hung_up());
    let after = began.elapsed();
    assert!(
        after >= Duration::from_millis(1400) && after < Duration::from_secs(10),
        "dropped after {after:?}"
    );
    let written =
        lively.join().expect("it does not panic").expect("it is asked again and again, and answers");
    assert_eq!(written.status, GOOD);
    array.stop();
}
