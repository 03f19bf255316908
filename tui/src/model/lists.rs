//! What the console asked to see. The screen says what it wants in numbered slots; each change of a slot gets a fresh
//! subscription number, so that a late answer to an old question is never mistaken for one to the new.

use super::{Answer, Moment};
use shared::protocol::admin::{List, Query, Subscribe, TICK_MS};
use std::{collections::BTreeMap, sync::Arc};

/// Answers kept for whoever comes back.
const MOST_LEFT: usize = 8;

/// Where on the screen: its main list, or one of those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u8);

impl Slot {
    /// The list the screen is about.
    pub(crate) const MAIN: Self = Self(0);
}

/// What there is to show in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Showing<'a> {
    /// Nothing was asked, or nothing has come yet.
    Waiting,
    /// It cannot be served; why.
    Refused(&'a str),
    /// Rows; false while they still answer the question before this one.
    Rows(&'a Answer, bool),
}

/// One slot.
#[derive(Clone, Debug)]
struct Wanted {
    id: u32,
    query: Query,
    answers: BTreeMap<String, Arc<List>>,
    refused: Option<String>,
    /// What is shown, and the number of the subscription it answers.
    shown: Option<(Arc<Answer>, u32)>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    slots: BTreeMap<Slot, Wanted>,
    last_id: u32,
    /// Answers to questions that are no longer asked, the newest last: whoever comes back sees them at once.
    left: Vec<(Query, Arc<Answer>)>,
    /// In a recording: what each number that was asked under then meant.
    then: BTreeMap<u32, Query>,
    /// In a recording: the newest answer to each question that was asked then.
    told: Vec<(Query, Arc<Answer>)>,
}

impl Lists {
    /// Replaces what is wanted; true if that changed anything.
    pub(crate) fn want(&mut self, wanted: Vec<(Slot, Query)>) -> bool {
        let same = wanted.len() == self.slots.len()
            && wanted.iter().all(|(slot, query)| self.slots.get(slot).is_some_and(|known| known.query == *query));
        if same {
            return false;
        }
        let mut before = std::mem::take(&mut self.slots);
        for (slot, query) in wanted {
            let kept = before.remove(&slot);
            let entry = match kept {
                Some(known) if known.query == query => known,
                Some(known) => {
                    self.leave(known.clone());
                    // The same list in another order is better than none until the answer comes; another list is not.
                    let alike = (known.query.view, &known.query.of) == (query.view, &query.of);
                    let fresh = self.fresh(query);
                    let shown = known.shown.filter(|_| alike);
                    Wanted { shown: fresh.shown.or(shown), ..fresh }
                }
                None => self.fresh(query),
            };
            self.slots.insert(slot, entry);
        }
        for wanted in before.into_values() {
            self.leave(wanted);
        }
        true
    }

    /// Keeps what was shown for whoever comes back.
    fn leave(&mut self, wanted: Wanted) {
        if let Some((answer, _)) = wanted.shown {
            self.left.retain(|(query, _)| *query != wanted.query);
            self.left.push((wanted.query, answer));
            let surplus = self.left.len().saturating_sub(MOST_LEFT);
            self.left.drain(..surplus);
        }
    }

    fn fresh(&mut self, query: Query) -> Wanted {
        self.last_id += 1;
        let left = || self.left.iter().find(|(left, _)| *left == query).map(|(_, answer)| (Arc::clone(answer), 0));
        let shown = self.then(&query).map(|answer| (answer, self.last_id)).or_else(left);
        Wanted { id: self.last_id, query, answers: BTreeMap::new(), refused: None, shown }
    }

    /// The subscriptions that say what is wanted.
    pub(crate) fn subscriptions(&self) -> Vec<Subscribe> {
        let wish = |wanted: &Wanted| Subscribe { id: wanted.id, query: wanted.query.clone(), every_ms: TICK_MS };
        self.slots.values().map(wish).collect()
    }

    /// A recording goes on: these were the questions from here on.
    pub(crate) fn recorded(&mut self, asked: &[Subscribe]) {
        self.then.extend(asked.iter().map(|wish| (wish.id, wish.query.clone())));
    }

    /// A recording begins anew: what is wanted stays, the answers go.
    pub(crate) fn replayed(mut self) -> Self {
        self.then.clear();
        self.told.clear();
        self.left.clear();
        for wanted in self.slots.values_mut() {
            (wanted.answers, wanted.refused, wanted.shown) = (BTreeMap::new(), None, None);
        }
        self
    }

    /// What a recording has of a view: its newest answer, whatever the filter and order were then.
    fn then(&self, query: &Query) -> Option<Arc<Answer>> {
        let alike = |(then, _): &&(Query, Arc<Answer>)| (then.view, &then.of) == (query.view, &query.of);
        let exact = self.told.iter().rev().find(|(then, _)| then == query);
        exact.or_else(|| self.told.iter().rev().find(alike)).map(|(_, answer)| Arc::clone(answer))
    }

    fn answered_then(&mut self, list: List, now: Moment) {
        let Some(query) = self.then.get(&list.id).cloned() else { return };
        let answer = Arc::new(Answer::of(&query, std::iter::once(&Arc::new(list)), now));
        self.told.retain(|(known, _)| *known != query);
        self.told.push((query, answer));
        let slots: Vec<_> = self.slots.iter().map(|(slot, wanted)| (*slot, self.then(&wanted.query))).collect();
        for (slot, answer) in slots {
            if let (Some(wanted), Some(answer)) = (self.slots.get_mut(&slot), answer) {
                wanted.shown = Some((answer, wanted.id));
            }
        }
    }

    pub(super) fn answered(&mut self, link: &str, list: List, now: Moment) {
        if !self.then.is_empty() {
            return self.answered_then(list, now);
        }
        if let Some(wanted) = self.slots.values_mut().find(|wanted| wanted.id == list.id) {
            wanted.answers.insert(link.to_owned(), Arc::new(list));
            wanted.refused = None;
            let answer = Answer::of(&wanted.query, wanted.answers.values(), now);
            wanted.shown = Some((Arc::new(answer), wanted.id));
        }
    }

    pub(super) fn refused(&mut self, link: &str, id: u32, code: &str, message: String) {
        if let Some(wanted) = self.slots.values_mut().find(|wanted| wanted.id == id) {
            wanted.answers.remove(link);
            // One process that cannot answer is no news while another does.
            if wanted.answers.is_empty() || code != "unavailable" {
                wanted.refused = Some(message);
            }
        }
    }

    /// A link that went down no longer answers; its rows stay until another answer comes.
    pub(super) fn forget(&mut self, link: &str) {
        for wanted in self.slots.values_mut() {
            wanted.answers.remove(link);
        }
    }

    /// What is wanted in a slot.
    pub(crate) fn query(&self, slot: Slot) -> Option<&Query> {
        self.slots.get(&slot).map(|wanted| &wanted.query)
    }

    /// What there is to show in a slot.
    pub(crate) fn showing(&self, slot: Slot) -> Showing<'_> {
        match self.slots.get(&slot) {
            Some(Wanted { refused: Some(why), .. }) => Showing::Refused(why),
            Some(Wanted { shown: Some((answer, id)), id: asked, .. }) => Showing::Rows(answer, id == asked),
            Some(_) | None => Showing::Waiting,
        }
    }

    /// The rows of a slot, if there are any to show.
    pub(crate) fn answer(&self, slot: Slot) -> Option<&Answer> {
        match self.showing(slot) {
            Showing::Rows(answer, _) => Some(answer),
            Showing::Waiting | Showing::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{
        clock::Timestamp,
        protocol::admin::{Answered, RoomRow, Rows, View},
    };

    fn list(id: u32, node: &str, rooms: &[(&str, u64)]) -> List {
        let row =
            |(room, members): &(&str, u64)| RoomRow { room: (*room).into(), members: *members, ..RoomRow::default() };
        let nodes = vec![Answered { node: node.into(), in_time: true }];
        let (total, rows) = (rooms.len() as u64, Rows::Rooms(rooms.iter().map(row).collect()));
        List { id, at: Timestamp::default(), total, matched: total, rows, next: None, nodes }
    }

    fn names(lists: &Lists) -> Vec<String> {
        match lists.answer(Slot::MAIN).map(|answer| &answer.rows) {
            Some(Rows::Rooms(rows)) => rows.iter().map(|row| row.room.clone()).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_answers_of_several_links_become_one_list_in_order() {
        let mut lists = Lists::default();
        assert!(lists.want(vec![(Slot::MAIN, Query::of(View::Rooms))]));
        assert!(!lists.want(vec![(Slot::MAIN, Query::of(View::Rooms))]), "nothing new is wanted");
        let id = lists.subscriptions()[0].id;
        lists.answered("gw-1", list(id, "gw-1", &[("public:a", 9), ("public:c", 2)]), Moment::ZERO);
        lists.answered("gw-2", list(id, "gw-2", &[("public:b", 5)]), Moment::ZERO);
        assert_eq!(names(&lists), ["public:a", "public:b", "public:c"]);
        assert_eq!(lists.answer(Slot::MAIN).unwrap().total, 3);
    }

    #[test]
    fn a_link_that_speaks_for_the_whole_cluster_is_not_counted_twice() {
        let mut lists = Lists::default();
        lists.want(vec![(Slot::MAIN, Query::of(View::Rooms))]);
        let id = lists.subscriptions()[0].id;
        let mut whole = list(id, "gw-1", &[("public:a", 9), ("public:b", 5)]);
        whole.nodes.push(Answered { node: "gw-2".into(), in_time: true });
        lists.answered("gw-1", whole, Moment::ZERO);
        lists.answered("gw-2", list(id, "gw-2", &[("public:b", 5)]), Moment::ZERO);
        assert_eq!(names(&lists), ["public:a", "public:b"]);
    }

    #[test]
    fn a_late_answer_to_an_old_question_is_passed_over_and_old_rows_stay_until_the_new_come() {
        let mut lists = Lists::default();
        lists.want(vec![(Slot::MAIN, Query::of(View::Rooms))]);
        let old = lists.subscriptions()[0].id;
        lists.answered("gw-1", list(old, "gw-1", &[("public:a", 9)]), Moment::ZERO);
        lists.want(vec![(Slot::MAIN, Query { filter: "members>99".into(), ..Query::of(View::Rooms) })]);
        assert!(matches!(lists.showing(Slot::MAIN), Showing::Rows(_, false)));
        lists.answered("gw-1", list(old, "gw-1", &[("public:z", 1)]), Moment::ZERO);
        assert_eq!(names(&lists), ["public:a"]);
        let new = lists.subscriptions()[0].id;
        lists.answered("gw-1", list(new, "gw-1", &[]), Moment::ZERO);
        assert!(matches!(lists.showing(Slot::MAIN), Showing::Rows(_, true)) && names(&lists).is_empty());
        lists.want(vec![(Slot::MAIN, Query::of(View::Users))]);
        assert!(matches!(lists.showing(Slot::MAIN), Showing::Waiting), "another list's rows do not stay");
    }

    #[test]
    fn a_refusal_is_shown_unless_another_process_answers() {
        let mut lists = Lists::default();
        lists.want(vec![(Slot::MAIN, Query::of(View::Rooms))]);
        let id = lists.subscriptions()[0].id;
        lists.refused("api", id, "unavailable", "not here".into());
        assert!(matches!(lists.showing(Slot::MAIN), Showing::Refused("not here")));
        lists.answered("gw-1", list(id, "gw-1", &[("public:a", 9)]), Moment::ZERO);
        lists.refused("api", id, "unavailable", "not here".into());
        assert_eq!(names(&lists), ["public:a"]);
        lists.refused("gw-1", id, "bad_filter", "no field".into());
        assert!(matches!(lists.showing(Slot::MAIN), Showing::Refused("no field")));
    }
}
