//! Nodes: room for pods, ordered when it is missing, removed when they are empty. Pods are
//! never moved to empty a node.

use crate::scenario::Nodes;

#[derive(Debug, Clone, Copy)]
struct Node {
    pods: u32,
    exists: bool,
    /// Changes whenever a pod comes or goes.
    stamp: u32,
}

const EMPTY: Node = Node { pods: 0, exists: true, stamp: 0 };

#[derive(Debug)]
pub(crate) struct NodePool {
    options: Nodes,
    nodes: Vec<Node>,
    ordered: u32,
}

impl NodePool {
    pub(crate) fn new(options: Nodes) -> Self {
        let nodes = vec![EMPTY; options.min as usize];
        Self { options, nodes, ordered: 0 }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.nodes.iter().filter(|node| node.exists).count() as u32
    }

    fn open(&self) -> Option<usize> {
        let capacity = self.options.capacity_pods;
        self.nodes.iter().position(|node| node.exists && (capacity == 0 || node.pods < capacity))
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
        (node.pods == 0 && self.count() > self.options.min).then_some(node.stamp)
    }

    /// Removes a node that has been empty since the stamp.
    pub(crate) fn expire(&mut self, index: usize, stamp: u32) {
        let removable = self.count() > self.options.min;
        let node = &mut self.nodes[index];
        if node.stamp == stamp && node.pods == 0 && removable {
            node.exists = false;
        }
    }
}
