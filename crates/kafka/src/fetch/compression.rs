//! What Kafka's producers compress batches with.
//!
//! Contract: pure, but for buffers that are kept from one batch to the next. Batches may be
//! of a few kilobytes, and LZ4's buffers alone are of a hundred.

use std::io::{self, BufRead as _, Read};

use bytes::{Buf as _, Bytes};
use lz4_flex::frame::FrameDecoder;

/// A batch is at most what a broker takes, 1 MiB by default; 256 times that is not a batch
/// but an attack on our memory. This bounds one batch, which is there twice while it is
/// copied; an answer may hold several.
const MAX_BYTES: usize = 256 << 20;
/// A larger buffer is given back.
const KEPT_BYTES: usize = 4 << 20;
/// Snappy as Java's producers frame it: this, two version numbers, then blocks.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// Decompresses batches, one after the other.
#[derive(Default)]
pub(super) struct Decompressor {
    /// `None` before the first, and after one that did not end as it should.
    lz4: Option<FrameDecoder<Source>>,
    /// A batch's plain bytes while their number is not known.
    plain: Vec<u8>,
}

impl Decompressor {
    /// The records of a batch, by the codec in its attributes.
    ///
    /// # Errors
    /// What is wrong with the bytes, in a few words.
    pub(super) fn decompress(&mut self, codec: u8, bytes: &Bytes) -> Result<Bytes, String> {
        match codec {
            0 => Ok(bytes.clone()),
            1 => self.read("gzip", flate2::read::MultiGzDecoder::new(bytes.as_ref())),
            2 => snappy(bytes),
            3 => self.lz4(bytes),
            4 => {
                let decoder = zstd::stream::read::Decoder::with_buffer(bytes.as_ref());
                self.read("zstd", decoder.map_err(|error| format!("zstd: {error}"))?)
            }
            unknown => Err(format!("compression codec {unknown} is not known")),
        }
    }

    fn read(&mut self, name: &str, decoder: impl Read) -> Result<Bytes, String> {
        let read = decoder.take(MAX_BYTES as u64 + 1).read_to_end(&mut self.plain);
        self.finish(name, read.map(drop))
    }

    fn lz4(&mut self, bytes: &Bytes) -> Result<Bytes, String> {
        let mut decoder = self.lz4.take().unwrap_or_else(|| FrameDecoder::new(Source::default()));
        *decoder.get_mut() = Source { rest: bytes.clone(), ran_out: false };
        let read = loop {
            match decoder.fill_buf() {
                Ok([]) => break Ok(()),
                Ok(block) => {
                    self.plain.extend_from_slice(block);
                    let length = block.len();
                    decoder.consume(length);
                }
                Err(error) => break Err(error),
            }
            if self.plain.len() > MAX_BYTES {
                break Ok(());
            }
        };
        let ended = read.is_ok() && self.plain.len() <= MAX_BYTES && !decoder.get_ref().ran_out;
        *decoder.get_mut() = Source::default();
        self.lz4 = ended.then_some(decoder);
        self.finish("lz4", read)
    }

    /// A copy of the plain bytes, as long as they are.
    fn finish(&mut self, name: &str, read: io::Result<()>) -> Result<Bytes, String> {
        let done = match read {
            Err(error) => Err(format!("{name}: {error}")),
            Ok(()) if self.plain.len() > MAX_BYTES => {
                Err(format!("{name}: more than {MAX_BYTES} bytes in one batch"))
            }
            Ok(()) => Ok(Bytes::copy_from_slice(&self.plain)),
        };
        self.plain.clear();
        if self.plain.capacity() > KEPT_BYTES {
            self.plain = Vec::new();
        }
        done
    }
}

/// A batch's bytes for a decoder that stays.
#[derive(Default)]
struct Source {
    rest: Bytes,
    /// More was asked for than there is: the decoder is still inside its frame.
    ran_out: bool,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(self.rest.len());
        self.ran_out |= length < into.len();
        self.rest.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

fn snappy(bytes: &[u8]) -> Result<Bytes, String> {
    if !bytes.starts_with(XERIAL_MAGIC) {
        return snappy_block(bytes).map(Bytes::from);
    }
    let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or("snappy: cut off")?;
    let mut plain = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let block = after.get(..length).ok_or("snappy: cut off")?;
        plain.extend_from_slice(&snappy_block(block)?);
        if plain.len() > MAX_BYTES {
            return Err(format!("snappy: more than {MAX_BYTES} bytes in one batch"));
        }
        rest = &after[length..];
    }
    Ok(plain.into())
}

fn snappy_block(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: snap::Error| format!("snappy: {error}");
    if snap::raw::decompress_len(bytes).map_err(failed)? > MAX_BYTES {
        return Err(format!("snappy: more than {MAX_BYTES} bytes in one batch"));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_codec_gives_back_what_went_in() {
        let plain = Bytes::from("a trade, and a trade, and a trade ".repeat(1000));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).expect("memory");
        let raw = snap::raw::Encoder::new().compress_vec(&plain).expect("memory");
        let mut xerial = [XERIAL_MAGIC, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for part in plain.chunks(10_000) {
            let block = snap::raw::Encoder::new().compress_vec(part).expect("memory");
            xerial.extend_from_slice(&(block.len() as u32).to_be_bytes());
            xerial.extend_from_slice(&block);
        }
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).expect("memory");
        let lz4 = lz4.finish().expect("memory");
        let zstd = zstd::encode_all(plain.as_ref(), 3).expect("memory");
        let cut_off = Bytes::copy_from_slice(&lz4[..lz4.len() - 4]);
        let compressed = [
            (0, plain.to_vec()),
            (1, gzip.finish().expect("memory")),
            (2, raw),
            (2, xerial),
            (3, lz4),
            (4, zstd),
        ];
        let mut decompressor = Decompressor::default();
        for (codec, bytes) in compressed.iter().chain(&compressed) {
            let bytes = Bytes::copy_from_slice(bytes);
            assert_eq!(decompressor.decompress(*codec, &bytes), Ok(plain.clone()), "codec {codec}");
            // What is wrong with one batch says nothing about the next.
            let _ = decompressor.decompress(3, &cut_off);
            assert!(decompressor.decompress(3, &cut_off.slice(..100)).is_err());
        }
    }

    #[test]
    fn rubbish_is_an_error() {
        let rubbish = Bytes::from_static(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\xff\xffrest");
        for codec in 1..=5 {
            assert!(Decompressor::default().decompress(codec, &rubbish).is_err(), "codec {codec}");
        }
    }
}
