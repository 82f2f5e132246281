//! SCRAM (RFC 5802, RFC 7677): the client's side of the exchange. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// More would be a denial of service by a server that is not ours.
const MAX_ITERATIONS: u32 = 1_000_000;

/// Which hash.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// One exchange.
pub(super) struct Scram {
    hash: Hash,
    first_bare: String,
    nonce: String,
}

impl Scram {
    /// `nonce` is printable, without commas, and never used again.
    pub(super) fn new(hash: Hash, user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { hash, first_bare: format!("n={user},r={nonce}"), nonce }
    }

    /// What the client says first.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The answer to the server's first message, and the proof expected of it.
    pub(super) fn second(
        &self,
        password: &str,
        server_first: &str,
    ) -> Result<(String, String), &'static str> {
        let field = |name: char| {
            server_first.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        let nonce =
            field('r').filter(|nonce| nonce.starts_with(&self.nonce)).ok_or("wrong nonce")?;
        let salt = field('s').and_then(|salt| STANDARD.decode(salt).ok()).ok_or("no salt")?;
        let iterations = field('i')
            .and_then(|count| count.parse().ok())
            .filter(|count: &NonZeroU32| count.get() <= MAX_ITERATIONS)
            .ok_or("no iteration count")?;
        let mut salted = vec![0; self.hash.digest().output_len()];
        pbkdf2::derive(self.hash.pbkdf2(), iterations, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| {
            hmac::sign(&hmac::Key::new(self.hash.hmac(), key), text).as_ref().to_vec()
        };
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), &client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = sign(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server = sign(&sign(&salted, b"Server Key"), signed.as_bytes());
        Ok((
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            format!("v={}", STANDARD.encode(server)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_rfcs_exchange_is_reproduced() {
        let scram = Scram::new(Hash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, proof) = scram.second("pencil", server_first).expect("answers");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_server_that_does_not_play_by_the_rules_is_refused() {
        let scram = Scram::new(Hash::Sha512, "a=b,c", "abc".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        for first in
            ["r=xyz,s=QQ==,i=1", "r=abcd,i=1", "r=abcd,s=QQ==,i=0", "r=abcd,s=QQ==,i=9999999"]
        {
            assert!(scram.second("pw", first).is_err(), "{first}");
        }
    }
}
