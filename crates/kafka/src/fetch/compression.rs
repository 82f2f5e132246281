//! What Kafka's producers compress batches with. Pure.

use std::io::Read;

use bytes::Bytes;

/// A batch is at most what a broker takes, 1 MiB by default; a hundred times that is
/// not a batch but an attack on our memory.
const MAX_BYTES: u64 = 256 << 20;
/// Snappy as Java's producers frame it: this, two version numbers, then blocks.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// The records of a batch, by the codec in its attributes.
///
/// # Errors
/// What is wrong with the bytes, in a few words.
pub(super) fn decompress(codec: u8, bytes: &Bytes) -> Result<Bytes, String> {
    match codec {
        0 => Ok(bytes.clone()),
        1 => read("gzip", flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        2 => snappy(bytes),
        3 => read("lz4", lz4_flex::frame::FrameDecoder::new(bytes.as_ref())),
        4 => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes.as_ref());
            read("zstd", decoder.map_err(|error| format!("zstd: {error}"))?)
        }
        unknown => Err(format!("compression codec {unknown} is not known")),
    }
}

fn read(name: &str, decoder: impl Read) -> Result<Bytes, String> {
    let mut plain = Vec::new();
    let read = decoder.take(MAX_BYTES + 1).read_to_end(&mut plain);
    let read = read.map_err(|error| format!("{name}: {error}"))?;
    if read as u64 > MAX_BYTES {
        return Err(format!("{name}: more than {MAX_BYTES} bytes in one batch"));
    }
    Ok(plain.into())
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
        if plain.len() as u64 > MAX_BYTES {
            return Err(format!("snappy: more than {MAX_BYTES} bytes in one batch"));
        }
        rest = &after[length..];
    }
    Ok(plain.into())
}

fn snappy_block(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: snap::Error| format!("snappy: {error}");
    if snap::raw::decompress_len(bytes).map_err(failed)? as u64 > MAX_BYTES {
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
        let compressed = [
            (0, plain.to_vec()),
            (1, gzip.finish().expect("memory")),
            (2, raw),
            (2, xerial),
            (3, lz4),
            (4, zstd),
        ];
        for (codec, bytes) in compressed {
            assert_eq!(decompress(codec, &bytes.into()), Ok(plain.clone()), "codec {codec}");
        }
    }

    #[test]
    fn rubbish_is_an_error() {
        let rubbish = Bytes::from_static(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\xff\xffrest");
        for codec in 1..=5 {
            assert!(decompress(codec, &rubbish).is_err(), "codec {codec}");
        }
    }
}
