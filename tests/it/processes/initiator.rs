//! The smallest initiator: bytes by hand.
//!
//! It shares nothing with `fabric`, so that a mistake in the encodings there cannot hide here. Most of its users send one command at a time; it can
//! also leave commands under way, keep their data back after the target has asked for them, and leave pings of the target unanswered.

use super::md5::md5;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A session, or any connection to a portal.
pub struct Initiator {
    stream: TcpStream,
    cmd_sn: u32,
    exp_stat_sn: u32,
    tag: u32,
    /// TSIH, once it is logged in.
    pub tsih: u16,
    /// Data-Out of commands that are not answered.
    out: BTreeMap<u32, Vec<u8>>,
    /// Commands that send their data only when told to.
    kept_back: BTreeSet<u32>,
    /// What has come of commands and has not been taken.
    answers: BTreeMap<u32, Answer>,
    data: BTreeMap<u32, Vec<u8>>,
    asked: BTreeMap<u32, Vec<[u8; 48]>>,
    /// Answers to task management functions, pings, texts, logouts.
    others: BTreeMap<u32, (u8, Vec<u8>)>,
    /// Pings of the target that have come.
    pub pings: u32,
    /// Whether it leaves them unanswered.
    pub is_deaf: bool,
}

/// What came of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u8,
    /// Sense key, additional sense code and qualifier.
    pub sense: Option<(u8, u8, u8)>,
    pub data: Vec<u8>,
}

/// Who logs in, and how.
pub struct Login<'a> {
    pub name: &'a str,
    pub isid: [u8; 6],
    pub target: &'a str,
    /// 0 for a new session, or one that takes the place of an earlier one.
    pub tsih: u16,
    pub cid: u16,
    /// CHAP_N and the secret.
    pub account: Option<(&'a str, &'a str)>,
    /// How long the target may keep the nexus of a broken connection, in seconds.
    pub retain: u32,
}

/// SCSI status codes.
pub const GOOD: u8 = 0x00;
pub const CHECK_CONDITION: u8 = 0x02;

/// Nobody on loopback is slower than that, except for one that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Initiator task tag or target transfer tag of a PDU that has none.
const NO_TAG: [u8; 4] = [0xff; 4];

impl Initiator {
    /// A connection without a login.
    pub fn connect(portal: SocketAddr) -> io::Result<Initiator> {
        let stream = TcpStream::connect_timeout(&portal, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Initiator {
            stream,
            cmd_sn: 0xffff_fff0,
            exp_stat_sn: 0,
            tag: 1,
            tsih: 0,
            out: BTreeMap::new(),
            kept_back: BTreeSet::new(),
            answers: BTreeMap::new(),
            data: BTreeMap::new(),
            asked: BTreeMap::new(),
            others: BTreeMap::new(),
            pings: 0,
            is_deaf: false,
        })
    }

    /// A session of this initiator with the target; `isid` tells its ports apart.
    pub fn login(portal: SocketAddr, name: &str, isid: u16, target: &str) -> io::Result<Initiator> {
        let [high, low] = isid.to_be_bytes();
        let isid = [0x80, 0, 0, 0, high, low];
        Initiator::log_in(portal, &Login { name, isid, target, tsih: 0, cid: 0, account: None, retain: 20 })
    }

    /// A session; a login that is refused is an error that ends with its status in hexadecimal digits.
    pub fn log_in(portal: SocketAddr, login: &Login<'_>) -> io::Result<Initiator> {
        let mut session = Initiator::connect(portal)?;
        let names =
            format!("InitiatorName={}\0TargetName={}\0SessionType=Normal\0", login.name, login.target);
        let keys = format!(
            "HeaderDigest=None\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0MaxRecvDataSegmentLength=262144\0\
             MaxBurstLength=262144\0FirstBurstLength=65536\0MaxConnections=1\0ErrorRecoveryLevel=0\0\
             DefaultTime2Wait=2\0DefaultTime2Retain={}\0",
            login.retain
        );
        let Some((user, secret)) = login.account else {
            session.login_step(login, 0x87, &format!("{names}{keys}"))?;
            return Ok(session);
        };
        // Security stage: what is offered, which algorithm (5: MD5), the proof.
        session.login_step(login, 0x00, &format!("{names}AuthMethod=CHAP\0"))?;
        let challenge = session.login_step(login, 0x00, "CHAP_A=5\0")?;
        let value = |key: &str| {
            let found = challenge.split('\0').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.ok_or_else(|| io::Error::other(format!("no {key} in {challenge}")))
        };
        let id: u8 = value("CHAP_I")?.parse().map_err(io::Error::other)?;
        let bytes = from_hex(value("CHAP_C")?.trim_start_matches("0x"));
        let proof = md5(&[&[id][..], secret.as_bytes(), &bytes].concat());
        let proof: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        session.login_step(login, 0x81, &format!("CHAP_N={user}\0CHAP_R=0x{proof}\0"))?;
        session.login_step(login, 0x87, &keys)?;
        Ok(session)
    }

    /// One Login Request with these flags (T, CSG, NSG), and the text of its answer.
    pub fn login_step(&mut self, login: &Login<'_>, flags: u8, text: &str) -> io::Result<String> {
        let mut header = self.header(0x43, flags);
        header[8..14].copy_from_slice(&login.isid);
        header[14..16].copy_from_slice(&login.tsih.to_be_bytes());
        header[20..22].copy_from_slice(&login.cid.to_be_bytes());
        self.send(header, text.as_bytes())?;
        let (answer, text) = self.receive()?;
        let class = u16::from_be_bytes([answer[36], answer[37]]);
        if answer[0] != 0x23 || class != 0 {
            return Err(io::Error::other(format!("login refused: {class:04x}")));
        }
        self.tsih = u16::from_be_bytes([answer[14], answer[15]]);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Sends a command and waits for its answer; Data-Out goes as immediate data.
    pub fn command(&mut self, cdb: &[u8], out: &[u8], expected: u32) -> io::Result<Answer> {
        let tag = self.begin(cdb, out, expected)?;
        self.finish(tag)
    }

    /// Sends a command with its data as immediate data; its tag.
    pub fn begin(&mut self, cdb: &[u8], out: &[u8], expected: u32) -> io::Result<u32> {
        self.send_command(cdb, out, out, expected)
    }

    /// Sends a command whose data wait for [`Initiator::hand_over`], and waits until the target asks for them, or answers without.
    pub fn begin_without_data(&mut self, cdb: &[u8], out: &[u8]) -> io::Result<u32> {
        self.kept_back.insert(self.tag);
        let tag = self.send_command(cdb, out, &[], 0)?;
        self.until(|it| it.asked.contains_key(&tag) || it.answers.contains_key(&tag))?;
        Ok(tag)
    }

    fn send_command(&mut self, cdb: &[u8], out: &[u8], now: &[u8], expected: u32) -> io::Result<u32> {
        let direction = match (out.is_empty(), expected) {
            (false, _) => 0x20,
            (true, 1..) => 0x40,
            (true, 0) => 0,
        };
        let mut header = self.header(0x01, 0x81 | direction);
        let length = if out.is_empty() { expected } else { out.len() as u32 };
        header[20..24].copy_from_slice(&length.to_be_bytes());
        header[32..32 + cdb.len()].copy_from_slice(cdb);
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        let tag = u32_at(&header, 16);
        self.out.insert(tag, out.to_vec());
        self.send(header, now)?;
        Ok(tag)
    }

    /// Waits for a command's answer.
    pub fn finish(&mut self, tag: u32) -> io::Result<Answer> {
        self.until(|it| it.answers.contains_key(&tag))?;
        self.out.remove(&tag);
        Ok(self.answers.remove(&tag).expect("it has come"))
    }

    /// Whether the answer to a command or function has come by the time a ping has come back.
    pub fn is_answered(&mut self, tag: u32) -> io::Result<bool> {
        self.ping(b"?")?;
        Ok(self.answers.contains_key(&tag) || self.others.contains_key(&tag))
    }

    /// Sends the data that a command has kept back, as far as they were asked for.
    pub fn hand_over(&mut self, tag: u32) -> io::Result<()> {
        self.kept_back.remove(&tag);
        for asked in self.asked.remove(&tag).unwrap_or_default() {
            self.data_out(&asked)?;
        }
        Ok(())
    }

    fn data_out(&mut self, asked: &[u8; 48]) -> io::Result<()> {
        let (offset, length) = (u32_at(asked, 40) as usize, u32_at(asked, 44) as usize);
        let tag = u32_at(asked, 16);
        let data = self.out.get(&tag).map_or(&[][..], |data| &data[offset..offset + length]).to_vec();
        let mut header = [0; 48];
        header[..2].copy_from_slice(&[0x05, 0x80]);
        // LUN, initiator task tag, target transfer tag, and the offset.
        header[8..24].copy_from_slice(&asked[8..24]);
        header[28..32].copy_from_slice(&self.exp_stat_sn.to_be_bytes());
        header[40..44].copy_from_slice(&asked[40..44]);
        self.send(header, &data)
    }

    /// A task management function, and its response.
    pub fn manage(&mut self, function: u8, reference: u32) -> io::Result<u8> {
        let tag = self.begin_managing(function, reference)?;
        self.finish_managing(tag)
    }

    /// Sends a task management function; its tag.
    pub fn begin_managing(&mut self, function: u8, reference: u32) -> io::Result<u32> {
        let mut header = self.header(0x42, 0x80 | function);
        header[20..24].copy_from_slice(&reference.to_be_bytes());
        self.send(header, &[])?;
        Ok(u32_at(&header, 16))
    }

    /// Waits for a task management function's response.
    pub fn finish_managing(&mut self, tag: u32) -> io::Result<u8> {
        self.other(tag).map(|(response, _)| response)
    }

    /// NOP-Out that asks for an answer; the data that come back.
    pub fn ping(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        let mut header = self.header(0x40, 0x80);
        header[20..24].copy_from_slice(&NO_TAG);
        self.send(header, data)?;
        self.other(u32_at(&header, 16)).map(|(_, data)| data)
    }

    /// A Text Request; the text of its answer.
    pub fn text(&mut self, text: &str) -> io::Result<String> {
        let mut header = self.header(0x44, 0x80);
        header[20..24].copy_from_slice(&NO_TAG);
        self.send(header, text.as_bytes())?;
        let (_, text) = self.other(u32_at(&header, 16))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits until the target has asked so often for a sign of life.
    pub fn wait_for_pings(&mut self, count: u32) -> io::Result<()> {
        self.until(|it| it.pings >= count)
    }

    /// Logs out (reason 0: the session); the response.
    pub fn logout(&mut self) -> io::Result<u8> {
        let header = self.header(0x46, 0x80);
        self.send(header, &[])?;
        self.other(u32_at(&header, 16)).map(|(response, _)| response)
    }

    fn other(&mut self, tag: u32) -> io::Result<(u8, Vec<u8>)> {
        self.until(|it| it.others.contains_key(&tag))?;
        Ok(self.others.remove(&tag).expect("it has come"))
    }

    /// The same again for as long as a unit attention comes instead.
    pub fn settled(&mut self, cdb: &[u8], out: &[u8], expected: u32) -> io::Result<Answer> {
        loop {
            let answer = self.command(cdb, out, expected)?;
            if !matches!(answer.sense, Some((6, _, _))) {
                return Ok(answer);
            }
        }
    }

    /// PERSISTENT RESERVE OUT.
    pub fn reserve_out(&mut self, action: u8, kind: u8, keys: [u64; 2], aptpl: bool) -> io::Result<Answer> {
        let mut list = [0; 24];
        list[..8].copy_from_slice(&keys[0].to_be_bytes());
        list[8..16].copy_from_slice(&keys[1].to_be_bytes());
        list[20] = u8::from(aptpl);
        self.settled(&[0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0], &list, 0)
    }

    /// The registered keys, sorted.
    pub fn keys(&mut self) -> io::Result<Vec<u64>> {
        let answer = self.settled(&[0x5e, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0], &[], 0xfff0)?;
        assert_eq!(answer.status, GOOD, "READ KEYS: {answer:?}");
        let keys = answer.data[8..]
            .chunks_exact(8)
            .map(|key| u64::from_be_bytes(key.try_into().expect("eight bytes")));
        let mut keys: Vec<u64> = keys.collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// The holder's key and the type of the reservation.
    pub fn reservation(&mut self) -> io::Result<Option<(u64, u8)>> {
        let answer = self.settled(&[0x5e, 1, 0, 0, 0, 0, 0, 0, 24, 0], &[], 24)?;
        assert_eq!(answer.status, GOOD, "READ RESERVATION: {answer:?}");
        let held = answer.data.get(8..24);
        Ok(held.map(|held| (u64::from_be_bytes(held[..8].try_into().expect("eight bytes")), held[13] & 0xf)))
    }

    /// WRITE(10) of whole blocks.
    pub fn write(&mut self, lba: u32, blocks: &[u8]) -> io::Result<Answer> {
        self.settled(&range(0x2a, lba, (blocks.len() / 512) as u16), blocks, 0)
    }

    /// READ(10).
    pub fn read(&mut self, lba: u32, blocks: u16) -> io::Result<Answer> {
        self.settled(&range(0x28, lba, blocks), &[], u32::from(blocks) * 512)
    }

    /// SYNCHRONIZE CACHE(10) over everything.
    pub fn flush(&mut self) -> io::Result<Answer> {
        self.settled(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0)
    }

    /// Sends what no initiator would.
    pub fn garbage(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits until the other side hangs up.
    pub fn is_hung_up(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn header(&mut self, opcode: u8, flags: u8) -> [u8; 48] {
        let mut header = [0; 48];
        header[0] = opcode;
        header[1] = flags;
        header[16..20].copy_from_slice(&self.tag.to_be_bytes());
        header[24..28].copy_from_slice(&self.cmd_sn.to_be_bytes());
        header[28..32].copy_from_slice(&self.exp_stat_sn.to_be_bytes());
        self.tag += 1;
        header
    }

    fn send(&mut self, mut header: [u8; 48], data: &[u8]) -> io::Result<()> {
        header[5..8].copy_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
        let mut pdu = header.to_vec();
        pdu.extend_from_slice(data);
        pdu.resize(pdu.len().next_multiple_of(4), 0);
        self.stream.write_all(&pdu)
    }

    /// Takes what comes until there is what is waited for.
    fn until(&mut self, there: impl Fn(&Initiator) -> bool) -> io::Result<()> {
        while !there(self) {
            let (header, data) = self.receive()?;
            self.take(header, data)?;
        }
        Ok(())
    }

    fn take(&mut self, header: [u8; 48], data: Vec<u8>) -> io::Result<()> {
        let tag = u32_at(&header, 16);
        match header[0] {
            0x25 => {
                self.data.entry(tag).or_default().extend(data);
                if header[1] & 1 != 0 {
                    let data = self.data.remove(&tag).unwrap_or_default();
                    self.answers.insert(tag, Answer { status: header[3], sense: None, data });
                }
            }
            0x21 => {
                let sense = data.get(2..).filter(|sense| sense.len() >= 14);
                let sense = sense.map(|sense| (sense[2] & 0xf, sense[12], sense[13]));
                let data = self.data.remove(&tag).unwrap_or_default();
                self.answers.insert(tag, Answer { status: header[3], sense, data });
            }
            0x31 if self.kept_back.contains(&tag) => self.asked.entry(tag).or_default().push(header),
            0x31 => self.data_out(&header)?,
            // The target asks whether we are there.
            0x20 if header[16..20] == NO_TAG => {
                self.pings += 1;
                if !self.is_deaf {
                    let mut pong = self.header(0x40, 0x80);
                    pong[16..20].copy_from_slice(&NO_TAG);
                    pong[20..24].copy_from_slice(&header[20..24]);
                    self.send(pong, &[])?;
                }
            }
            0x20 | 0x22 | 0x24 | 0x26 => {
                self.others.insert(tag, (header[2], data));
            }
            // Data that came too late are rejected, which answers nothing.
            0x3f => {}
            other => return Err(io::Error::other(format!("a PDU {other:02x} where an answer is due"))),
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<([u8; 48], Vec<u8>)> {
        let mut header = [0; 48];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = vec![0; length.next_multiple_of(4)];
        self.stream.read_exact(&mut data)?;
        data.truncate(length);
        let counts = match header[0] {
            0x31 => false,
            0x25 => header[1] & 1 != 0,
            0x20 => header[16..20] != NO_TAG,
            _ => true,
        };
        if counts {
            self.exp_stat_sn = u32_at(&header, 24).wrapping_add(1);
        }
        Ok((header, data))
    }
}

/// READ(10), WRITE(10) and their like.
pub fn range(opcode: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let ([a, b, c, d], [e, f]) = (lba.to_be_bytes(), blocks.to_be_bytes());
    [opcode, 0, a, b, c, d, 0, e, f, 0]
}

fn u32_at(bytes: &[u8; 48], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The bytes of hexadecimal digits.
pub fn from_hex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
