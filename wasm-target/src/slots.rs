//! Values that the VMs of one proxy leave for each other in shared data.
//!
//! Whatever plug-in runs in the proxy may read shared data, and write it, and no key can ever be
//! deleted. So there is a fixed number of slots. Where a value lies, and what it is sealed with, is
//! derived from all that was asked with, the caller's credential included: who does not present that
//! credential can neither read a value nor make one that is taken for real. The credential itself
//! is stored nowhere. What does not open is as if it were not there. When a value ends is its own
//! content's business, and sealed with it, so an old one that is put back is still an old one.
//!
//! The seal is XChaCha20-Poly1305: its nonces are long enough to be drawn at random by VMs that know
//! nothing of each other, it uses no tables, so its time depends on no secret, and in wasm, where
//! AES has no instructions, it is both smaller and faster than what is made of AES.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::HkdfExtract;
use pintle_core::store::Slot;
use sha2::Sha256;

use crate::abi;
use crate::arena::Event;

/// How many slots there are. The keys stay for the life of the proxy, so this bounds its memory.
const SLOTS: u16 = 1024;

/// The longest value that is left, in bytes: twice the longest token by default. With all of its
/// slots full a proxy then keeps 32 MiB.
const MAX_VALUE_BYTES: usize = 32 * 1024;

/// Of the form below; another one does not open.
const VERSION: u8 = 1;

/// A sealed value: the version, the nonce, and then what the cipher makes, 16 bytes longer than the
/// value.
const NONCE_BYTES: usize = 24;
const SEAL_BYTES: usize = 1 + NONCE_BYTES + 16;

/// Sets these keys apart from everything else that is ever derived from the same credential.
const SALT: &[u8] = b"pintle shared slot, version 1";

/// The slot that these parts lead to. Each counts with its length, so no two lists of parts read
/// alike.
pub(crate) fn slot(parts: &[&[u8]]) -> Option<Slot> {
    let mut extract = HkdfExtract::<Sha256>::new(Some(SALT));
    for part in parts {
        extract.input_ikm(&(part.len() as u64).to_le_bytes());
        extract.input_ikm(part);
    }
    let (_, derived) = extract.finalize();
    let (mut index, mut key) = ([0; 2], [0; 32]);
    derived.expand(b"index", &mut index).ok()?;
    derived.expand(b"key", &mut key).ok()?;
    // A power of two, so each slot is as likely as the others.
    Some(Slot { index: u16::from_le_bytes(index) % SLOTS, key })
}

/// Reads a slot.
pub(crate) fn recall(event: &Event, slot: &Slot) -> Option<Vec<u8>> {
    let sealed = abi::shared_data(event, name(slot).as_bytes()).ok()??.bytes;
    if sealed.len() > MAX_VALUE_BYTES.saturating_add(SEAL_BYTES) {
        return None;
    }
    let (version, rest) = sealed.split_first()?;
    let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>()?;
    if *version != VERSION {
        return None;
    }
    let aad = &place(slot);
    cipher(slot).decrypt(&XNonce::from(*nonce), Payload { msg, aad }).ok()
}

/// Leaves a value in a slot, in place of whatever is there. A value that is too long is not left,
/// nor one without random bytes to be had.
pub(crate) fn leave(slot: &Slot, value: &[u8]) {
    if value.len() > MAX_VALUE_BYTES {
        return;
    }
    if let Some(sealed) = seal(slot, value) {
        // Where the host takes none, the VMs ask for themselves.
        let _ = abi::set_shared_data(name(slot).as_bytes(), &sealed, 0);
    }
}

fn seal(slot: &Slot, msg: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let aad = &place(slot);
    let sealed = cipher(slot).encrypt(&XNonce::from(nonce), Payload { msg, aad }).ok()?;
    Some([&[VERSION], &nonce[..], &sealed].concat())
}

fn cipher(slot: &Slot) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&slot.key.into())
}

/// What is sealed along with a value: where it lies, and in what form.
fn place(slot: &Slot) -> [u8; 3] {
    let [low, high] = slot.index.to_le_bytes();
    [VERSION, low, high]
}

fn name(slot: &Slot) -> String {
    format!("pintle.slot.{}", slot.index)
}

#[cfg(test)]
mod tests;
