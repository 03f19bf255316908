//! The rooms of many processes: a hash for each, with a field for each node.
//!
//! A room's hash is in the room's partition. What a node tells goes out in one script for each partition, however many
//! of its rooms changed.

use super::{LISTED, LIVES, Occupants};
use crate::{
    engine::{
        EngineError, Incarnation,
        redis::{Link, Script, millis, partition},
    },
    protocol::RoomName,
};
use fred::types::Value;
use futures_util::future::try_join_all;
use std::{collections::BTreeMap, fmt::Write as _};

macro_rules! occupancy_script {
    ($($name:ident = $file:literal;)+) => {$(
        static $name: Script = Script::new(concat!(
            include_str!("../scripts/prelude.lua"),
            include_str!("../scripts/occupancy.lua"),
            include_str!(concat!("../scripts/", $file))
        ));
    )+};
}

occupancy_script! {
    TELL = "occupancy_tell.lua";
    EXCHANGE = "occupancy_exchange.lua";
}

/// Rooms in one script: a millisecond or two of Redis' time.
const SHARE: usize = 256;

/// See [`super::Occupancy`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisOccupancy(Link);

impl RedisOccupancy {
    pub(in crate::engine) fn new(link: Link) -> Self {
        Self(link)
    }

    pub(super) async fn tell(&self, node: &Incarnation, rooms: &[(RoomName, Occupants)]) -> Result<(), EngineError> {
        let mut partitions: BTreeMap<u16, Vec<&(RoomName, Occupants)>> = BTreeMap::new();
        for told in rooms {
            partitions.entry(partition(told.0.as_str())).or_default().push(told);
        }
        let tell = |share: &[&(RoomName, Occupants)]| {
            let keys = share.iter().map(|(room, _)| self.0.keys().occupants(room)).collect();
            let own = share.iter().map(|(_, who)| text(who).into());
            let args = self.args(node).into_iter().chain(own).collect();
            self.0.run("tell who is in rooms", &TELL, keys, args)
        };
        try_join_all(partitions.values().flat_map(|told| told.chunks(SHARE)).map(tell)).await.map(drop)
    }

    pub(super) async fn exchange(
        &self,
        node: &Incarnation,
        room: &RoomName,
        own: &Occupants,
    ) -> Result<Occupants, EngineError> {
        const WHAT: &str = "ask who is in a room";
        let mut args = self.args(node);
        args.push(text(own).into());
        args.push(i64::try_from(LISTED).expect("it is a hundred").into());
        let mut reply = self.0.run(WHAT, &EXCHANGE, vec![self.0.keys().occupants(room)], args).await?;
        let mut others = Occupants { count: reply.number()?, users: Vec::new() };
        while !reply.is_empty() {
            others.users.push(reply.parsed()?);
        }
        Ok(others)
    }

    fn args(&self, node: &Incarnation) -> Vec<Value> {
        vec![self.0.now(), millis(LIVES), node.id.to_string().into()]
    }
}

/// How many, then users: `12 <user> <user>`; nothing if there is nobody.
fn text(who: &Occupants) -> String {
    if who.count == 0 {
        return String::new();
    }
    who.users.iter().take(LISTED).fold(who.count.to_string(), |mut text, user| {
        write!(text, " {user}").expect("writing to a string");
        text
    })
}
