"""A Kubernetes control plane, KEDA and tidegate's chart on one machine, without containers.

Layout
- run: what one run owns (directory, processes), and that it all ends
- processes: child processes, ended by id, and with this process whatever happens to it
- certificates, plane, keda: PKI, etcd, API server, controller manager, scheduler, KEDA
- api: the API server by HTTP
- kubelet, pod: a node that runs a pod's command as a process
- services: what kube-proxy and DNS are for: a name of a Service leads to a ready pod
- servers, load, recorder: Kafka and PostgreSQL, the producer, what happened each second
- world: all of it up, and the chart installed
- cases: what happens to load, scaler and Kafka, and what must come of it
- simulated, comparison: the simulator's run of the same, and how near is near
- schemas: kubeconform's schemas; objects: types

Standard library only. Rejected: a client library (a dependency for six requests); KWOK
(its pods run nothing); containers (the point is to need none).
"""
