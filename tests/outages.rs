//! What happens to databases, done to a real one while a group writes: nothing is lost
//! or stored twice, nobody leaves the group, `/readyz` says why, and all that had
//! waited is stored within five seconds of the database's return.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/outage.rs"]
mod outage;
mod support;

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use broker::TestBroker;
use outage::World;
use support::wait_for;
use tidegate_pgtest::{Server, Session};

static BROKER: LazyLock<TestBroker> = LazyLock::new(TestBroker::plain);
const LIMIT: Duration = Duration::from_secs(60);

fn server(settings: &[&str]) -> Server {
    let settings: Vec<&str> = settings.iter().copied().chain(["fsync=off"]).collect();
    let server = Server::start(&settings).expect("a PostgreSQL server");
    server.create_database("d").expect("creates");
    server
}

fn session(server: &Server) -> Session {
    server.client().session(&server.url("d")).expect("a session")
}

/// Another session takes what the consumers need, in the opposite order. The consumers'
/// server ends the wait of whoever has waited two seconds: them.
fn deadlock(world: &World, server: &Server) {
    let other = Mutex::new(session(server));
    let cause = || {
        let mut other = other.lock().expect("lock");
        other.run("SET deadlock_timeout = '1h';").expect("sets");
        other.run("BEGIN; SELECT FROM positions FOR UPDATE;").expect("locks rows");
        wait_for("a consumer waits for it", LIMIT, || {
            let waiting = server.psql("d", "SELECT count(*) FROM pg_locks WHERE NOT granted");
            (waiting.expect("counts") != "0").then_some(())
        });
        other.send("LOCK TABLE trades IN SHARE MODE;").expect("sends");
    };
    let repair = || other.lock().expect("lock").run("ROLLBACK;").expect("ends");
    world.outage("deadlock", &["40P01"], cause, repair);
}

fn lock_timeout(world: &World, server: &Server) {
    let other = Mutex::new(session(server));
    let sql = "BEGIN; LOCK TABLE trades IN ACCESS EXCLUSIVE MODE;";
    let cause = || other.lock().expect("lock").run(sql).expect("locks");
    let repair = || other.lock().expect("lock").run("ROLLBACK;").expect("ends");
    world.outage("lock timeout", &["55P03"], cause, repair);
}

fn read_only(world: &World, server: &Server) {
    let alter = |what: &str| {
        let sql = format!("ALTER SYSTEM {what}");
        server.psql("d", &sql).expect("alters");
        server.psql("d", "SELECT pg_reload_conf()").expect("reloads");
    };
    let cause = || alter("SET default_transaction_read_only = on");
    let repair = || alter("RESET default_transaction_read_only");
    world.outage("read-only", &["25006"], cause, repair);
}

#[test]
fn deadlock_lock_timeout_read_only_restart_and_crash() {
    let mut server = server(&["deadlock_timeout=2s"]);
    let world = World::start(BROKER.bootstrap(), "outages", &server.url("d"));
    deadlock(&world, &server);
    lock_timeout(&world, &server);
    read_only(&world, &server);
    let gone = ["57P01", "57P03", "connection closed", "error connecting", "unexpected message"];
    for (what, signal) in [("restart", Some("INT")), ("crash", None)] {
        let server = Mutex::new(&mut server);
        let cause = || {
            let mut server = server.lock().expect("lock");
            match signal {
                Some(signal) => server.shut_down(signal).expect("stops"),
                None => server.kill().expect("kills"),
            }
        };
        let repair = || server.lock().expect("lock").start_again().expect("starts");
        world.outage(what, &gone, cause, repair);
    }
    world.finish();
}

/// Every connection there is belongs to others, and the consumers' own are ended.
#[test]
fn too_many_connections() {
    let server = server(&["max_connections=12", "superuser_reserved_connections=4"]);
    server.psql("d", "CREATE ROLE app LOGIN").expect("creates");
    server.psql("d", "GRANT ALL ON SCHEMA public TO app").expect("grants");
    let url = server.url_of("app", "d");
    let world = World::start(BROKER.bootstrap(), "connections", &url);
    let holders = Mutex::new(Vec::new());
    let cause = || {
        let client = server.client();
        wait_for("the consumers have no connection", LIMIT, || {
            let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE application_name LIKE 'tidegate %'";
            let ended = server.psql("d", ended).expect("ends");
            let refused = loop {
                match client.session(&url) {
                    Ok(holder) => holders.lock().expect("lock").push(holder),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(refused.contains("connection slots"), "{refused}");
            (ended == "0").then_some(())
        });
    };
    let repair = || holders.lock().expect("lock").clear();
    world.outage("too many connections", &["53300"], cause, repair);
    world.finish();
}

/// The primary dies; the standby is read-only until somebody promotes it. The standby
/// had lost the stream before: it has forgotten the last commits, and the consumers go
/// back to where it stands.
#[test]
fn a_failover_to_a_standby_that_lags() {
    let mut primary = server(&[]);
    let standby = primary.standby().expect("a standby");
    let url = format!(
        "postgres://tidegate@127.0.0.1:{},127.0.0.1:{}/d?target_session_attrs=read-write",
        primary.port(),
        standby.port()
    );
    let world = World::start(BROKER.bootstrap(), "failover", &url);
    let count = |server: &Server| -> u64 {
        let rows = server.psql("d", "SELECT count(*) FROM trades");
        rows.ok().and_then(|rows| rows.parse().ok()).unwrap_or(0)
    };
    wait_for("the standby knows every partition", LIMIT, || {
        let positions = standby.psql("d", "SELECT count(*) FROM positions").ok()?;
        (positions == "8").then_some(())
    });
    standby.cut_off().expect("cuts");
    wait_for("the standby lags", LIMIT, || (count(&primary) > count(&standby) + 400).then_some(()));
    let cause = || primary.kill().expect("kills");
    let repair = || standby.promote().expect("promotes");
    world.outage("failover", &["does not allow writes", "read-write"], cause, repair);
    assert!(world.log().contains("position read again, seeking"), "{}", world.log());
    world.finish();
}

#[test]
fn disk_full() {
    let server = match Server::start_on_small_disk(&["fsync=off"], 32, "d") {
        Ok(server) => server,
        Err(error) => return without_a_disk(&error.to_string()),
    };
    let world = World::start(BROKER.bootstrap(), "disk", &server.url("d"));
    let cause = || server.fill_disk().expect("fills");
    let repair = || server.free_disk().expect("frees");
    world.outage("disk full", &["53100"], cause, repair);
    world.finish();
}

/// Root can always mount. Others may not be let, and then hear of it; a trigger says
/// what the disk would.
#[allow(clippy::print_stderr)]
fn without_a_disk(why: &str) {
    let id = std::process::Command::new("id").arg("-u").output().expect("id");
    assert_ne!(id.stdout, b"0\n", "root may mount a small disk: {why}");
    eprintln!("NOT TESTED ON A FULL DISK: this user may not mount one ({why}); a trigger says it");
    let server = server(&[]);
    let world = World::start(BROKER.bootstrap(), "disk", &server.url("d"));
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                  'BEGIN RAISE EXCEPTION ''no space'' USING ERRCODE = ''53100''; END'; \
                  CREATE TRIGGER refuse BEFORE INSERT ON trades EXECUTE FUNCTION refuse()";
    let cause = || drop(server.psql("d", refuse).expect("refuses"));
    let repair = || drop(server.psql("d", "DROP FUNCTION refuse() CASCADE").expect("drops"));
    world.outage("disk full, said by a trigger", &["53100"], cause, repair);
    world.finish();
}
