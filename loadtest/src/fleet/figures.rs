//! What a fleet's Redis says of its work: how many commands came over the wire, and how many subscriptions there are.

use super::{Fleet, Redis};
use anyhow::Context as _;
use shared::servers::redis::Reply;

/// Into how many hash tags the engine spreads topics (`shared::engine`'s `PARTITIONS`).
const PARTITIONS: i64 = 64;

impl Fleet {
    /// How many scripts its one Redis has carried out so far: every publish is one, and so is most of what the engine
    /// does otherwise.
    pub(crate) async fn scripts(&self) -> anyhow::Result<Option<u64>> {
        let Redis::Alone { server, .. } = &self.redis else { return Ok(None) };
        let stats = server.try_call(&["INFO", "commandstats"]).await.context("failed to ask Redis")?;
        let calls = |name: &str| {
            let line = stats.text().lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Some(calls("evalsha") + calls("eval")))
    }

    /// How many connections are subscribed to a room's channel.
    pub(crate) async fn subscriptions(&self, room: &str) -> anyhow::Result<Option<i64>> {
        let Redis::Alone { server, .. } = &self.redis else { return Ok(None) };
        let partition = i64::from(slot(room.as_bytes())) % PARTITIONS;
        let channel = format!("pitchey:{{p{partition}}}ch:room:{room}");
        let reply = server.try_call(&["PUBSUB", "NUMSUB", &channel]).await.context("failed to ask Redis")?;
        Ok(reply.list().get(1).and_then(|count| if let Reply::Number(count) = count { Some(*count) } else { None }))
    }
}

/// Redis Cluster's hash of a key without braces: CRC-16/XMODEM, modulo 16 384.
fn slot(key: &[u8]) -> u16 {
    let crc = key.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_redis_own() {
        // From the Cluster specification.
        assert_eq!(slot(b"123456789"), 0x31c3);
    }
}
