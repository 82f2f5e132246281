//! The options as librdkafka has them.

use rdkafka::ClientConfig;

use super::SecurityOptions;
use crate::Error;

impl SecurityOptions {
    /// Sets what librdkafka has to know; secrets are read now.
    pub(crate) fn apply(&self, config: &mut ClientConfig) -> Result<(), Error> {
        let protocol = self.protocol();
        config.set("security.protocol", protocol.to_string());
        if protocol.has_tls() {
            config.set("ssl.endpoint.identification.algorithm", "https");
            let files = [
                ("ssl.ca.location", &self.tls_ca),
                ("ssl.certificate.location", &self.tls_certificate),
                ("ssl.key.location", &self.tls_key),
            ];
            for (key, file) in files {
                if let Some(file) = file {
                    config.set(key, file.display().to_string());
                }
            }
            if let Some(password) = &self.tls_key_password {
                config.set("ssl.key.password", password.read()?);
            }
        }
        let Some(mechanism) = self.sasl_mechanism.filter(|_| protocol.has_sasl()) else {
            return Ok(());
        };
        config.set("sasl.mechanisms", mechanism.on_the_wire());
        if !mechanism.has_token() {
            if let Some(user) = &self.sasl_username {
                config.set("sasl.username", user);
            }
            if let Some(password) = &self.sasl_password {
                config.set("sasl.password", password.read()?);
            }
        }
        Ok(())
    }
}
