//! What the proxies do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;

use super::{Outcome, World};
use crate::plan::{Ending, Service};
use crate::proxy::{Fate, Link, Weather};

/// Something is sent on an open connection within this time.
const TRAFFIC: Duration = Duration::from_secs(4);

pub(super) fn cut(
    world: &World,
    service: Service,
    share: u32,
    ending: Ending,
) -> anyhow::Result<Outcome> {
    let fate = match ending {
        Ending::Reset => Fate::Reset,
        Ending::Close => Fate::Close,
    };
    let links = world.servers.proxy(service).afflict(share, fate);
    let ended = wait_ended(world, &links);
    Ok(Outcome::seen(ended > 0, json!({ "connections": links.len(), "ended": ended })))
}

fn wait_ended(world: &World, links: &[Arc<Link>]) -> usize {
    let ended = || links.iter().filter(|link| link.has_ended()).count();
    world.stop.wait(TRAFFIC, || (ended() == links.len()).then_some(()));
    ended()
}

/// Stays half-open until the round is over: the peers have to find out.
pub(super) fn half_open(world: &World, service: Service, share: u32) -> anyhow::Result<Outcome> {
    let links = world.servers.proxy(service).afflict(share, Fate::Swallow);
    let swallowed = || links.iter().filter(|link| link.has_kept() || link.is_left()).count();
    world.stop.wait(TRAFFIC, || (swallowed() > 0).then_some(()));
    let seen = json!({ "connections": links.len(), "swallowed": swallowed() });
    Ok(Outcome::seen(swallowed() > 0, seen))
}

pub(super) fn lose_answers(
    world: &World,
    service: Service,
    share: u32,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let links = world.servers.proxy(service).afflict(share, Fate::HoldAnswers);
    let lost = || links.iter().filter(|link| link.has_kept()).count();
    world.stop.wait(TRAFFIC, || (lost() > 0).then_some(()));
    world.stop.sleep(time);
    let lost = lost();
    links.iter().for_each(|link| link.decide(Fate::Reset));
    let ended = wait_ended(world, &links);
    Ok(Outcome::seen(lost > 0 && ended > 0, json!({ "connections": links.len(), "lost": lost })))
}

pub(super) fn slow(
    world: &World,
    service: Service,
    delay_ms: u64,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let proxy = world.servers.proxy(service);
    let weather = Weather { delay_ms, ..Weather::default() };
    under(world, service, weather, time, &proxy.counts().delayed)
}

pub(super) fn stall(world: &World, service: Service, time: Duration) -> anyhow::Result<Outcome> {
    let proxy = world.servers.proxy(service);
    let weather = Weather { hold: true, ..Weather::default() };
    under(world, service, weather, time, &proxy.counts().held)
}

fn under(
    world: &World,
    service: Service,
    weather: Weather,
    time: Duration,
    count: &AtomicU64,
) -> anyhow::Result<Outcome> {
    let before = count.load(Relaxed);
    let spell = world.servers.proxy(service).spell(weather);
    world.stop.sleep(time);
    let packets = count.load(Relaxed) - before;
    drop(spell);
    Ok(Outcome::seen(packets > 0, json!({ "packets": packets })))
}

pub(super) fn flap(
    world: &World,
    service: Service,
    times: u32,
    down: Duration,
    up: Duration,
) -> anyhow::Result<Outcome> {
    let proxy = world.servers.proxy(service);
    let refused_before = proxy.counts().refused.load(Relaxed);
    let mut ended = 0;
    for _ in 0..times {
        let spell = proxy.spell(Weather { refuse: true, ..Weather::default() });
        ended += wait_ended(world, &proxy.afflict(100, Fate::Reset));
        world.stop.sleep(down);
        drop(spell);
        world.stop.sleep(up);
    }
    let refused = proxy.counts().refused.load(Relaxed) - refused_before;
    Ok(Outcome::seen(ended > 0, json!({ "ended": ended, "refused": refused })))
}
