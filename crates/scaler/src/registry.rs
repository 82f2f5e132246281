//! The objects that were asked for, by name and metadata.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::object::{Object, ObjectKey, lock};

/// An object that nobody asks for any more is forgotten after this.
const IDLE_MS: i64 = 600_000;

/// All objects, cluster by cluster.
#[derive(Debug)]
pub struct Registry {
    clusters: usize,
    most: usize,
    objects: Mutex<HashMap<ObjectKey, (usize, Arc<Object>)>>,
}

/// There are as many objects as are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{most} ScaledObjects are served already: raise --max-objects, or run another scaler")]
pub struct Full {
    /// The limit.
    pub most: usize,
}

impl Registry {
    /// For so many clusters, and at most so many objects.
    pub fn new(clusters: usize, most: usize) -> Self {
        Self { clusters, most, objects: Mutex::new(HashMap::new()) }
    }

    /// How many clusters there are.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// A known object.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        lock(&self.objects).get(key).map(|(_, object)| Arc::clone(object))
    }

    /// Adds an object, unless there are too many; one that is there already is kept,
    /// and one of the same name, group and topic with other metadata is replaced.
    ///
    /// # Errors
    /// [`Full`].
    pub fn add(&self, cluster: usize, object: Object) -> Result<Arc<Object>, Full> {
        let mut objects = lock(&self.objects);
        if let Some((_, known)) = objects.get(object.key()) {
            return Ok(Arc::clone(known));
        }
        // An edited trigger takes the place of what it was.
        let (of, wants) = (object.key(), object.wants());
        objects.retain(|key, (_, known)| {
            (&key.namespace, &key.name) != (&of.namespace, &of.name) || known.wants() != wants
        });
        if objects.len() >= self.most {
            return Err(Full { most: self.most });
        }
        let object = Arc::new(object);
        objects.insert(object.key().clone(), (cluster, Arc::clone(&object)));
        Ok(object)
    }

    /// What an object of this name with other metadata wants: its edited successor
    /// starts from there.
    pub fn wanted_before(&self, key: &ObjectKey, group: &str) -> Option<i32> {
        lock(&self.objects)
            .values()
            .map(|(_, object)| object)
            .filter(|object| {
                (&object.key().namespace, &object.key().name) == (&key.namespace, &key.name)
                    && object.settings().group == group
            })
            .map(|object| object.status())
            .filter(|status| status.at_ms > 0 && status.trouble.is_none())
            .max_by_key(|status| status.at_ms)
            .map(|status| status.wanted)
    }

    /// Objects of a cluster.
    pub fn of_cluster(&self, cluster: usize) -> Vec<Arc<Object>> {
        let objects = lock(&self.objects);
        let mut of_cluster: Vec<Arc<Object>> = objects
            .values()
            .filter(|(of, _)| *of == cluster)
            .map(|(_, object)| Arc::clone(object))
            .collect();
        of_cluster.sort_by(|a, b| a.key().cmp(b.key()));
        of_cluster
    }

    /// All objects in the order of their names.
    pub fn all(&self) -> Vec<Arc<Object>> {
        let objects = lock(&self.objects);
        let sorted: BTreeMap<&ObjectKey, &Arc<Object>> =
            objects.iter().map(|(key, (_, object))| (key, object)).collect();
        sorted.into_values().map(Arc::clone).collect()
    }

    /// Forgets what nobody asks for.
    pub fn forget_idle(&self, now_ms: i64) {
        lock(&self.objects).retain(|_, (_, object)| {
            let idle = object.is_idle(now_ms, IDLE_MS);
            if idle {
                tracing::info!(object = object.label(), "forgotten: nobody asked for ten minutes");
            }
            !idle
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Settings;

    fn object(name: &str, age: &str, now_ms: i64) -> Object {
        let metadata: Vec<(String, String)> =
            [("consumerGroup", "g"), ("targetAgeSeconds", age), ("topic", "t")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec();
        let settings = Settings::read(name, &metadata.iter().cloned().collect()).expect("settings");
        let key = ObjectKey { namespace: "n".into(), name: name.into(), metadata };
        Object::new(key, settings, now_ms, None).expect("object")
    }

    #[test]
    fn the_number_of_objects_is_bounded() {
        let registry = Registry::new(1, 2);
        let first = registry.add(0, object("a", "1", 0)).expect("room");
        let again = registry.add(0, object("a", "1", 0)).expect("known");
        assert!(Arc::ptr_eq(&first, &again));
        registry.add(0, object("b", "2", 0)).expect("room");
        registry.add(0, object("b", "3", 0)).expect("an edited object replaces itself");
        assert_eq!(registry.all().len(), 2);
        let error = registry.add(0, object("c", "1", 0)).expect_err("full").to_string();
        assert!(error.starts_with("2 ScaledObjects are served already"), "{error}");
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten_unless_somebody_listens() {
        let registry = Registry::new(1, 9);
        let quiet = registry.add(0, object("a", "1", 0)).expect("room");
        let heard = registry.add(0, object("b", "1", 0)).expect("room");
        let listening = heard.listen();
        registry.forget_idle(IDLE_MS);
        assert_eq!(registry.all().len(), 2);
        registry.forget_idle(IDLE_MS + 1);
        assert_eq!(registry.all().len(), 1);
        assert!(registry.get(quiet.key()).is_none() && registry.get(heard.key()).is_some());
        drop(listening);
        registry.forget_idle(IDLE_MS + 1);
        assert!(registry.all().is_empty());
    }
}
