//! Mode pages (SPC-4 7.5, SBC-3 6.5): control and caching, block descriptor, MODE SENSE and MODE SELECT.

use super::cdb::Form;
use super::field::{bit, length16, put, u16_at, u32_at};
use super::sense::SenseData;
use alloc::vec;
use alloc::vec::Vec;
use redline_vocab::Sense;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
const ALL: u8 = 0x3f;

/// What MODE SELECT can change. Lost at power off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Settings {
    /// D_SENSE: sense data in descriptor format.
    pub descriptors: bool,
    /// SWP: software write protection.
    pub protected: bool,
}

/// What MODE SENSE shows beside the settings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Medium {
    /// Blocks.
    pub blocks: u64,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// WCE: a write may be answered before it is durable.
    pub write_back: bool,
}

/// Which pages with which values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Asked {
    /// Six or ten bytes.
    pub form: Form,
    /// DBD
    pub no_descriptors: bool,
    /// PC: 0 current, 1 changeable, 2 default, 3 saved values.
    pub control: u8,
    /// PAGE CODE
    pub page: u8,
    /// SUBPAGE CODE
    pub subpage: u8,
}

/// MODE SENSE.
///
/// # Errors
/// 05/24/00 for a page that does not exist, 05/39/00 for saved values: nothing is saved.
pub fn sense(asked: Asked, settings: Settings, medium: Medium) -> Result<Vec<u8>, SenseData> {
    if asked.control == 3 {
        return Err(SenseData::of(Sense { key: 0x05, asc: 0x39, ascq: 0x00 }));
    }
    let known = matches!(asked.page, CACHING | CONTROL | ALL);
    // Subpage FFh asks for all subpages; there is only 0.
    if !known || !matches!(asked.subpage, 0x00 | 0xff) {
        return Err(SenseData::in_cdb(if known { 3 } else { 2 }));
    }
    let mut pages = Vec::new();
    if asked.page != CONTROL {
        pages.extend_from_slice(&caching(asked.control, medium));
    }
    if asked.page != CACHING {
        pages.extend_from_slice(&control(asked.control, settings));
    }
    let descriptor = if asked.no_descriptors { Vec::new() } else { descriptor(medium) };
    // WP, and DPOFUA: DPO and FUA are understood.
    let parameter = bit(settings.protected, 0x80) | 0x10;
    let mut out = match asked.form {
        Form::Six => vec![0, 0, parameter, u8::try_from(descriptor.len()).expect("8 bytes")],
        Form::Ten | Form::Twelve | Form::Sixteen => {
            let [high, low] = length16(descriptor.len()).to_be_bytes();
            vec![0, 0, 0, parameter, 0, 0, high, low]
        }
    };
    out.extend_from_slice(&descriptor);
    out.extend_from_slice(&pages);
    match asked.form {
        Form::Six => out[0] = u8::try_from(out.len() - 1).expect("two short pages"),
        Form::Ten | Form::Twelve | Form::Sixteen => {
            let length = length16(out.len() - 2);
            put(&mut out, 0, &length.to_be_bytes());
        }
    }
    Ok(out)
}

/// The short block descriptor (SBC-3 6.5.2.1).
fn descriptor(medium: Medium) -> Vec<u8> {
    let blocks = u32::try_from(medium.blocks).unwrap_or(u32::MAX);
    [blocks.to_be_bytes(), (medium.block_bytes & 0x00ff_ffff).to_be_bytes()].concat()
}

fn caching(control: u8, medium: Medium) -> [u8; 20] {
    let mut page = [0; 20];
    (page[0], page[1]) = (CACHING, 18);
    // Nothing of it can be changed.
    if control != 1 {
        page[2] = bit(medium.write_back, 0x04);
    }
    page
}

fn control(control: u8, settings: Settings) -> [u8; 12] {
    let mut page = [0; 12];
    (page[0], page[1]) = (CONTROL, 10);
    let shown = match control {
        0 => settings,
        1 => Settings { descriptors: true, protected: true },
        _ => Settings { descriptors: false, protected: false },
    };
    page[2] = bit(shown.descriptors, 0x04);
    page[4] = bit(shown.protected, 0x08);
    if control != 1 {
        // QUEUE ALGORITHM MODIFIER 1: commands may be reordered. BUSY TIMEOUT PERIOD: unlimited.
        page[3] = 0x10;
        put(&mut page, 8, &[0xff, 0xff]);
    }
    page
}

/// MODE SELECT: the settings after the parameter list `bytes`.
///
/// # Errors
/// 05/1A/00 for a list that is cut, 05/26/00 for a value that cannot be changed; then nothing has changed.
pub fn select(form: Form, bytes: &[u8], settings: Settings, medium: Medium) -> Result<Settings, SenseData> {
    if bytes.is_empty() {
        return Ok(settings);
    }
    let cut = SenseData::of(Sense::PARAMETER_LIST_LENGTH_ERROR);
    let (header, descriptors, long) = match form {
        Form::Six => (4, bytes.get(3).copied().map(usize::from), false),
        Form::Ten | Form::Twelve | Form::Sixteen => {
            (8, u16_at(bytes, 6).map(usize::from), bytes.get(4).is_some_and(|flags| flags & 1 != 0))
        }
    };
    let start = header + descriptors.ok_or(cut)?;
    check_descriptor(bytes.get(header..start).ok_or(cut)?, long, header, medium)?;
    let mut at = start;
    let mut after = settings;
    while at < bytes.len() {
        let (code, length) = match bytes[at..] {
            [code, length, ..] => (code & 0x3f, usize::from(length)),
            _ => return Err(cut),
        };
        let page = bytes.get(at..at + 2 + length).ok_or(cut)?;
        let invalid = |byte: usize| SenseData::in_parameters(length16((at + byte) & 0xffff));
        if page[0] & 0x40 != 0 {
            return Err(invalid(0));
        }
        match code {
            CACHING => same(page, &caching(0, medium), invalid)?,
            CONTROL => {
                let wanted = Settings {
                    descriptors: page.get(2).is_some_and(|byte| byte & 0x04 != 0),
                    protected: page.get(4).is_some_and(|byte| byte & 0x08 != 0),
                };
                same(page, &control(0, wanted), invalid)?;
                after = wanted;
            }
            _ => return Err(invalid(0)),
        }
        at += 2 + length;
    }
    Ok(after)
}

/// A block descriptor may say again what is, or 0 for "as it is".
fn check_descriptor(bytes: &[u8], long: bool, at: usize, medium: Medium) -> Result<(), SenseData> {
    if bytes.is_empty() {
        return Ok(());
    }
    let invalid = SenseData::in_parameters(length16(at));
    if long || bytes.len() != 8 {
        return Err(invalid);
    }
    let blocks = u32_at(bytes, 0).map(u64::from);
    let block_bytes = u32_at(bytes, 4).map(|word| word & 0x00ff_ffff);
    let all = Some(medium.blocks.min(u64::from(u32::MAX)));
    if (blocks == all || blocks == Some(0)) && block_bytes == Some(medium.block_bytes) {
        Ok(())
    } else {
        Err(invalid)
    }
}

/// The page has its length and says nothing new.
fn same(page: &[u8], expected: &[u8], invalid: impl Fn(usize) -> SenseData) -> Result<(), SenseData> {
    if page.len() != expected.len() {
        return Err(invalid(1));
    }
    // The top two bits of the code are PS, reserved here, and SPF, looked at before.
    let differs = (2..page.len()).find(|&at| page[at] != expected[at]);
    differs.map_or(Ok(()), |at| Err(invalid(at)))
}
