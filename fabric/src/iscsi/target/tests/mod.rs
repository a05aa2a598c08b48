//! The endpoint against PDUs made by hand, broken connections, time, and limits: what a sound initiator never does.

mod commands;
mod data;
mod logins;
mod sessions;

use crate::array;
use crate::iscsi::pdu::{self, DataOut, Header, Request};
use crate::iscsi::serial::Sn;
use crate::iscsi::support::{BLOCK, World, rw10, settings};
use crate::iscsi::target::ConnectionId;
use alloc::vec::Vec;
use redline_vocab::Tag;

/// The first CmdSN of the tests' initiators.
const FIRST: u32 = u32::MAX - 2;

fn request(cmd_sn: u32) -> Request {
    Request { immediate: false, cmd_sn: Sn(cmd_sn), exp_stat_sn: Sn(0) }
}

fn command(cmd_sn: u32, tag: u32, opcode: u8) -> pdu::Command {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    pdu::Command {
        request: request(cmd_sn),
        last: true,
        reads: false,
        writes: false,
        attribute: 1,
        lun: [0; 8],
        tag: Tag(tag),
        expected: 0,
        cdb,
    }
}

/// A write of blocks at block 20 that sends nothing with the command.
fn write(cmd_sn: u32, tag: u32, blocks: u8, unsolicited: bool) -> pdu::Command {
    let mut write = command(cmd_sn, tag, 0x2A);
    write.cdb[..10].copy_from_slice(&rw10(0x2A, 20, blocks));
    (write.writes, write.last, write.expected) = (true, !unsolicited, u32::from(blocks) * BLOCK as u32);
    write
}

fn data_out(tag: u32, transfer: u32, data_sn: u32, offset: usize, last: bool) -> Header {
    Header::DataOut(DataOut {
        last,
        lun: [0; 8],
        tag: Tag(tag),
        transfer,
        exp_stat_sn: Sn(0),
        data_sn: Sn(data_sn),
        offset: offset as u32,
    })
}

/// A session for which the tests speak.
fn session(world: &mut World) -> ConnectionId {
    let one = world.login(settings(1), 1);
    world.detach(one);
    one
}

/// Tags of the commands that the array got, in order.
fn delivered(world: &World) -> Vec<u32> {
    let tag = |input: &array::Input| match input {
        array::Input::Command { tag, .. } => Some(tag.0),
        _ => None,
    };
    world.script.log.iter().filter_map(tag).collect()
}

fn count(world: &World, wanted: impl Fn(&array::Input) -> bool) -> usize {
    world.script.log.iter().filter(|input| wanted(input)).count()
}

fn statuses(headers: &[Header]) -> Vec<(u32, u8)> {
    let status = |header: &Header| match header {
        Header::Response(pdu) => Some((pdu.tag.0, pdu.status)),
        _ => None,
    };
    headers.iter().filter_map(status).collect()
}
