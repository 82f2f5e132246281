//! Nodes: room for pods, ordered when it is missing, removed when they are empty, emptied
//! when their pods fit elsewhere.

use std::cmp::Reverse;

use crate::scenario::Nodes;

#[derive(Debug, Clone, Copy)]
struct Node {
    pods: u32,
    exists: bool,
    /// Changes whenever a pod comes or goes.
    stamp: u32,
    /// Takes no more pods.
    cordoned: bool,
}

const EMPTY: Node = Node { pods: 0, exists: true, stamp: 0, cordoned: false };

#[derive(Debug, Clone)]
pub(crate) struct NodePool {
    options: Nodes,
    nodes: Vec<Node>,
    ordered: u32,
    /// The node that could be emptied, and since when.
    spare: Option<(usize, i64)>,
}

impl NodePool {
    pub(crate) fn new(options: Nodes) -> Self {
        let nodes = vec![EMPTY; options.min as usize];
        Self { options, nodes, ordered: 0, spare: None }
    }

    /// How many there are, those that run other things included.
    pub(crate) fn count(&self) -> u32 {
        self.options.other + self.existing()
    }

    fn existing(&self) -> u32 {
        self.nodes.iter().filter(|node| node.exists).count() as u32
    }

    /// Above all ids that were ever given.
    pub(crate) fn places(&self) -> usize {
        self.nodes.len()
    }

    /// A node whose pods have fitted elsewhere for this long, if nobody waits for room. It
    /// takes no more.
    pub(crate) fn next_to_empty(
        &mut self,
        now_us: i64,
        after_us: i64,
        pending: bool,
    ) -> Option<usize> {
        let spare = if pending || self.ordered > 0 { None } else { self.spare_node() };
        let Some(spare) = spare else {
            self.spare = None;
            return None;
        };
        let since_us = match self.spare {
            Some((node, since_us)) if node == spare => since_us,
            _ => now_us,
        };
        self.spare = Some((spare, since_us));
        if now_us - since_us < after_us {
            return None;
        }
        self.spare = None;
        self.nodes[spare].cordoned = true;
        Some(spare)
    }

    /// The node with the fewest pods, where they fit elsewhere and it is not needed. One
    /// that is being emptied comes first.
    fn spare_node(&self) -> Option<usize> {
        if self.nodes.iter().any(|node| node.exists && node.cordoned) {
            return None;
        }
        let capacity = self.options.capacity_pods;
        let used = self.nodes.iter().enumerate().filter(|(_, node)| node.exists && node.pods > 0);
        let (index, fewest) = used.min_by_key(|(index, node)| (node.pods, Reverse(*index)))?;
        let free: u32 = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(other, node)| *other != index && node.exists)
            .map(|(_, node)| capacity.saturating_sub(node.pods))
            .sum();
        (capacity > 0 && self.existing() > self.options.min && fewest.pods <= free).then_some(index)
    }

    fn open(&self) -> Option<usize> {
        let capacity = self.options.capacity_pods;
        self.nodes.iter().position(|node| {
            node.exists && !node.cordoned && (capacity == 0 || node.pods < capacity)
        })
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open().is_some()
    }

    /// Takes a place, if there is one.
    pub(crate) fn place(&mut self) -> Option<usize> {
        let index = self.open()?;
        self.nodes[index].pods += 1;
        self.nodes[index].stamp += 1;
        Some(index)
    }

    /// Takes a place on a node that may be new.
    pub(crate) fn force(&mut self) -> usize {
        if !self.has_room() {
            self.nodes.push(EMPTY);
        }
        self.place().unwrap_or_default()
    }

    /// How many nodes to order now for the pods that wait.
    pub(crate) fn order(&mut self, waiting: u32) -> u32 {
        let wanted = waiting.div_ceil(self.options.capacity_pods.max(1));
        let more = wanted.saturating_sub(self.ordered);
        self.ordered += more;
        more
    }

    /// An ordered node is there.
    pub(crate) fn add(&mut self) -> usize {
        self.ordered = self.ordered.saturating_sub(1);
        self.nodes.push(EMPTY);
        self.nodes.len() - 1
    }

    /// Gives a place back.
    pub(crate) fn free(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.pods = node.pods.saturating_sub(1);
        node.stamp += 1;
    }

    /// The stamp of a node that is empty and not needed.
    pub(crate) fn idle_stamp(&self, index: usize) -> Option<u32> {
        let node = self.nodes[index];
        (node.pods == 0 && self.existing() > self.options.min).then_some(node.stamp)
    }

    /// Removes a node that has been empty since the stamp.
    pub(crate) fn expire(&mut self, index: usize, stamp: u32) {
        let removable = self.existing() > self.options.min;
        let node = &mut self.nodes[index];
        if node.stamp == stamp && node.pods == 0 && removable {
            node.exists = false;
        }
    }
}
