//! Which settings of the client are ours alone, and what to use instead. Pure.

const READS_ITSELF: &str = "without effect: librdkafka joins the group, tidegate reads the log";

/// A raw setting that is refused: its key, the options or variables that say it instead, and why
/// where that is not all.
struct Owned(&'static str, &'static [&'static str], &'static str);

const ASSIGNOR: &str = "KIP-848 groups use the broker's uniform assignor, which is sticky";
const EAGER: &str = "always cooperative-sticky: eager assignment stops the world";
const COMMITS: &str = "offsets follow the database and are committed by tidegate";
const EARLIEST: &str = "always earliest: latest would skip unseen records";
const NAMED: &str = "there is no option for it: a consumer is named after its pod, by POD_NAME, \
     any other client after its command";
const ONCE: &str = "always on: retries must not duplicate or reorder";
const ACKS: &str = "always all: an acknowledged record must survive a leader change";
const SECRET: &str = "a secret: give it by variable or file";
const MOCK: &str = "for librdkafka's own tests: the group would be in a cluster of its own";
const REPORTS: &str = "always off: every record's acknowledgement is told";
const TRANSACTIONS: &str = "tidegate's transactions are the database's";
const BY_KEY: &str = "always murmur2_random, as Java's: a key's records stay in one partition";
const PEM: &str = "certificate and key are PEM files (openssl pkcs12 -in FILE -nodes)";
const UNSIGNED: &str = "unsigned tokens are for a broker's own tests";
const UNVERIFIED: &str = "always on: an unverified broker can be anybody";
const HOSTS: &str = "always https: a certificate must be the host's";

/// Settings the promises depend on, and why a user cannot set them.
const OWNED: &[Owned] = &[
    Owned("bootstrap.servers", &["brokers"], ""),
    Owned("metadata.broker.list", &["brokers"], ""),
    Owned("client.id", &[], NAMED),
    Owned("group.id", &["group"], ""),
    Owned("group.protocol", &["protocol"], ""),
    Owned("group.protocol.type", &[], "always consumer"),
    Owned("group.instance.id", &["instance_id"], ""),
    Owned("group.remote.assignor", &[], ASSIGNOR),
    Owned("partition.assignment.strategy", &[], EAGER),
    Owned("enable.auto.commit", &[], COMMITS),
    Owned("auto.commit.enable", &[], COMMITS),
    Owned("enable.auto.offset.store", &[], COMMITS),
    Owned("offset.store.method", &[], COMMITS),
    Owned("auto.commit.interval.ms", &["commit_interval_ms"], ""),
    Owned("auto.offset.reset", &[], EARLIEST),
    Owned("session.timeout.ms", &["session_timeout_ms"], ""),
    Owned("heartbeat.interval.ms", &["heartbeat_interval_ms"], ""),
    Owned("max.poll.interval.ms", &["max_poll_interval_ms"], ""),
    Owned("enable.idempotence", &[], ONCE),
    Owned("acks", &[], ACKS),
    Owned("request.required.acks", &[], ACKS),
    Owned("delivery.report.only.error", &[], REPORTS),
    Owned("transactional.id", &[], TRANSACTIONS),
    Owned("partitioner", &[], BY_KEY),
    Owned("linger.ms", &["linger_ms"], ""),
    Owned("queue.buffering.max.ms", &["linger_ms"], ""),
    Owned("compression.type", &["compression"], ""),
    Owned("compression.codec", &["compression"], ""),
    Owned("test.mock.num.brokers", &[], MOCK),
    Owned("isolation.level", &[], "always read_committed"),
    Owned("fetch.min.bytes", &["fetch_min_bytes"], ""),
    Owned("fetch.wait.max.ms", &["fetch_wait_max_ms"], ""),
    Owned("fetch.max.bytes", &[], READS_ITSELF),
    Owned("fetch.message.max.bytes", &[], READS_ITSELF),
    Owned("max.partition.fetch.bytes", &[], READS_ITSELF),
    Owned("fetch.error.backoff.ms", &[], READS_ITSELF),
    Owned("fetch.queue.backoff.ms", &[], READS_ITSELF),
    Owned("queued.min.messages", &[], READS_ITSELF),
    Owned("queued.max.messages.kbytes", &[], READS_ITSELF),
    Owned("check.crcs", &[], "checksums are always checked"),
    Owned("enable.partition.eof", &[], "not needed, and it would look like a record"),
    Owned("client.rack", &["client_rack"], ""),
    Owned("reconnect.backoff.ms", &["reconnect_backoff_ms"], ""),
    Owned("reconnect.backoff.max.ms", &["reconnect_backoff_max_ms"], ""),
    Owned("security.protocol", &["security_protocol"], ""),
    Owned("sasl.mechanism", &["sasl_mechanism"], ""),
    Owned("sasl.mechanisms", &["sasl_mechanism"], ""),
    Owned("sasl.username", &["sasl_username"], ""),
    Owned("sasl.password", &["sasl_password_file", "KAFKA_SASL_PASSWORD"], SECRET),
    Owned("sasl.oauthbearer.method", &["sasl_token_file", "oidc_token_url"], ""),
    Owned("sasl.oauthbearer.client.id", &["oidc_client_id"], ""),
    Owned("sasl.oauthbearer.client.credentials.client.id", &["oidc_client_id"], ""),
    Owned(
        "sasl.oauthbearer.client.credentials.client.secret",
        &["oidc_client_secret_file", "KAFKA_OIDC_CLIENT_SECRET"],
        SECRET,
    ),
    Owned("sasl.oauthbearer.scope", &["oidc_scope"], ""),
    Owned("sasl.oauthbearer.config", &["sasl_token_file", "oidc_token_url"], ""),
    Owned("sasl.oauthbearer.assertion.private.key.pem", &["oidc_token_url"], "a secret"),
    Owned("sasl.oauthbearer.assertion.private.key.passphrase", &["oidc_token_url"], "a secret"),
    Owned(
        "sasl.oauthbearer.client.secret",
        &["oidc_client_secret_file", "KAFKA_OIDC_CLIENT_SECRET"],
        SECRET,
    ),
    Owned("sasl.oauthbearer.token.endpoint.url", &["oidc_token_url"], ""),
    Owned("enable.sasl.oauthbearer.unsecure.jwt", &[], UNSIGNED),
    Owned("ssl.ca.location", &["tls_ca"], ""),
    Owned("ssl.ca.pem", &["tls_ca"], ""),
    Owned("ssl.certificate.location", &["tls_certificate"], ""),
    Owned("ssl.certificate.pem", &["tls_certificate"], ""),
    Owned("ssl.key.location", &["tls_key"], ""),
    Owned("ssl.key.pem", &["tls_key"], "a secret"),
    Owned("ssl.key.password", &["tls_key_password_file", "KAFKA_TLS_KEY_PASSWORD"], SECRET),
    Owned("ssl.keystore.location", &["tls_certificate"], PEM),
    Owned("ssl.keystore.password", &["tls_key"], "a secret"),
    Owned("enable.ssl.certificate.verification", &[], UNVERIFIED),
    Owned("ssl.endpoint.identification.algorithm", &[], HOSTS),
];

/// Why a key is refused and what to use instead; `None` if it is not refused.
pub(crate) fn reason(key: &str) -> Option<String> {
    let Owned(_, options, why) = OWNED.iter().find(|owned| owned.0 == key)?;
    Some(match (options.join(" or "), *why) {
        (options, why) if options.is_empty() => why.to_owned(),
        (options, "") => format!("use {options}"),
        (options, why) => format!("{why}: use {options}"),
    })
}

/// Raw settings that are refused, each with the options and variables that say it instead, if
/// there are any. An option is a key of a configuration file, or a flag with dashes.
pub fn refused_settings() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    OWNED.iter().map(|Owned(key, options, _)| (*key, *options))
}
