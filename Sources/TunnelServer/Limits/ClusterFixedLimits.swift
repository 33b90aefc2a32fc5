import Cluster
import TunnelCore

/// Fixed limits of a server in a cluster.
extension FixedLimit {
    private static let cluster = ClusterLimits()

    package static let claims: [FixedLimit] = [
        FixedLimit(
            "Lease of a server's entries without a sign of life",
            .time(.seconds(cluster.leaseSeconds)),
            "the places of a machine that has vanished are free then"
        ),
        FixedLimit(
            "Time between two signs of life of a lease",
            .time(cluster.keepAliveInterval),
            "two of them may be lost"
        ),
        FixedLimit(
            "Entries of one lease",
            .count(StoreLimits.entriesOfLease),
            "etcd removes the entries of a lease in one step when it ends"
        ),
        FixedLimit(
            "Changes in one request to the store",
            .count(StoreLimits.changes),
            "etcd accepts 128 operations in a transaction, and each change is a transaction in it"
        ),
        FixedLimit(
            "Least time before a failed request to the store is sent again, doubled by each further failure",
            .time(cluster.shortestRetry),
            "another member of etcd leads by then"
        ),
        FixedLimit(
            "Greatest time before a failed request to the store is sent again",
            .time(cluster.longestRetry),
            "claims are put back within 2 s once the store is there"
        ),
        FixedLimit(
            "Time in which the store must answer a new claim",
            .time(cluster.claimTimeout),
            "later the client is asked to come back"
        ),
        FixedLimit(
            "Time in which the home of a claim must answer for its session",
            .time(cluster.probeTimeout),
            "another server takes the claim over then"
        ),
        FixedLimit("Claims of a server", .count(cluster.claims), "a claim takes about 1 KiB, and a place in a lease"),
        FixedLimit(
            "Claims of ports that a server remembers",
            .count(cluster.portClaims),
            "more than one for each port of TCP and of UDP, and further ones get no visitors here"
        ),
        FixedLimit(
            "Names with a claim that a server remembers",
            .count(cluster.names),
            "they take about 60 MB, and the one that was read first is forgotten"
        ),
        FixedLimit(
            "Names without a claim that a server remembers",
            .count(cluster.unknownNames),
            "they do not push out the names that have one"
        ),
        FixedLimit(
            "Time for which the claims of a name are believed",
            .time(cluster.nameLifetime),
            "a name that has moved is noticed by its home earlier"
        ),
        FixedLimit(
            "Time for which a name without a claim is not read again",
            .time(cluster.unknownNameLifetime),
            "a flood of unknown names costs the store little"
        ),
        FixedLimit(
            "Names that are on their way from the store at a time",
            .count(cluster.nameReads),
            "etcd answers them within milliseconds, and further names wait"
        ),
        FixedLimit(
            "Time for which a name waits for its turn",
            .time(cluster.nameWait),
            "the store is too slow then, and the visitor is refused"
        ),
        FixedLimit(
            "Claims of one name",
            .count(cluster.claimsOfName),
            "further members of a group get no visitors from this server"
        ),
        FixedLimit(
            "Visitors that wait for the store to find their names",
            .count(cluster.lookups),
            "more visitors of unknown names are refused"
        ),
        FixedLimit("Servers of a cluster", .count(cluster.servers), "it bounds what a wrong store may have"),
        FixedLimit("Key of a claim", .bytes(ClaimKey.longestText), "a host name has 253, and paths are seldom long"),
        FixedLimit(
            "Requests with changes that are on their way to the store",
            .count(ClusterNode.batches),
            "with one, changes would wait for each round trip to the store"
        ),
        FixedLimit(
            "Places that are read again at a time after a failed request",
            .count(ClusterNode.auditsAtATime),
            "these reads are in no hurry"
        ),
        FixedLimit(
            "Time for which the store may still perform a failed request",
            .time(ClusterNode.latestPerformance),
            "the place is read again then"
        ),
        FixedLimit(
            "Watches of the store that end in a row until everything is read again",
            .count(ClusterNode.brokenWatches),
            "the store may have been restored, with other revisions"
        ),
        FixedLimit(
            "Notices of names that were taken over, for one server",
            .count(ClusterNode.notices),
            "a server has as many claims in one lease"
        ),
        FixedLimit(
            "Servers with such notices",
            .count(ClusterNode.noticedServers),
            "few servers are cut off at a time, and those that are gone are left out"
        ),
        FixedLimit(
            "Time in which a link may turn out to be broken",
            .time(ClusterNode.linkDoubt),
            "a notice that was sent before may not have arrived"
        ),
        FixedLimit(
            "Time in which a server that reaches the store again must put its claims back",
            .time(ClusterNode.returnTime),
            "it needs 2 s"
        ),
    ]

    package static let peers: [FixedLimit] = [
        FixedLimit(
            "Visitors that wait for the link to another server",
            .count(PeerLink.waitingVisitors),
            "the listen queue of a port holds as many"
        ),
        FixedLimit(
            "Time that they wait",
            .time(PeerLinkTimes().session),
            "some round trips between continents; the attempt continues for later visitors"
        ),
        FixedLimit(
            "Time in which another server answers a stream, before it is asked for a sign of life",
            .time(PeerLinkTimes().answer),
            "the answer takes one round trip"
        ),
        FixedLimit(
            "Time for the sign of life",
            .time(PeerLinkTimes().signOfLife),
            "two round trips between continents"
        ),
        FixedLimit(
            "Time without it after which the link ends",
            .time(SilenceWatch.deadline),
            "a pause of the network may end until then"
        ),
        FixedLimit(
            "Time after which a waiting visitor tries the servers again",
            .time(RawVisitor.retryTime),
            "a link may be back that was not reached"
        ),
        FixedLimit(
            "Time after which a port of another server that could not be bound is tried again",
            .time(RemotePorts.retryTime),
            "the program that has the port may end"
        ),
        FixedLimit(
            "Visitors that wait for a client on its way to another server, at one port",
            .count(Route.waitingVisitors),
            "as many wait for a link"
        ),
        FixedLimit(
            "Time that they wait for the client",
            .time(RawVisitor.waitTimeout),
            "a client that has lost its server dials again at once"
        ),
        FixedLimit(
            "Bytes of a visitor whose connection ends while it waits",
            .bytes(RawVisitor.waitingBytes),
            "the kernel keeps less of a connection that is not read, and a visitor with more is reset"
        ),
        FixedLimit(
            "Datagrams of a flow between two event loops, in each direction",
            .count(CrossingDatagrams.limit),
            "the queue of a flow keeps as many"
        ),
        FixedLimit(
            "Time in which a client must answer for its session when another server asks",
            .time(PeerHome.lifeTimeout),
            "the home of a claim has as long to answer"
        ),
        FixedLimit(
            "Time without a stream after which a link is closed",
            .time(PeerLink.idleTimeout),
            "a new one takes a few round trips"
        ),
        FixedLimit(
            "Time for which visitors avoid a server that was not reached",
            .time(PeerHealths.avoidance),
            "a server that restarts gets visitors soon"
        ),
        FixedLimit(
            "Time for which a server that stops waits for the store",
            .time(ClusterService.stopTimeout),
            "its leases end by themselves"
        ),
        FixedLimit(
            "Sessions of other servers at a server",
            .count(ClusterMember.sessions),
            "the largest cluster has as many servers"
        ),
        FixedLimit(
            "Servers that `culvert status --cluster` asks at a time",
            .count(ClusterClients.questionsAtATime),
            "their answers are in memory together"
        ),
        FixedLimit(
            "Time for which `culvert status --cluster` waits for one server",
            .time(ClusterClients.timeout),
            "a server that answers later is not well"
        ),
        FixedLimit(
            "Time for which it waits for all of them",
            .time(ClusterClients.timeoutOfAll),
            "the command waits for its answer for 10 s"
        ),
        FixedLimit(
            "Answer of one server to `culvert status --cluster`",
            .bytes(ClusterClients.answerBytes),
            "about ten thousand clients fit, and further ones are counted"
        ),
        FixedLimit(
            "Answers of all servers to `culvert status --cluster`",
            .bytes(ClusterClients.allBytes),
            "the command reads four times as much, with line ends and indents"
        ),
        FixedLimit(
            "Questions for clients that a server answers at a time",
            .count(ClusterClients.answersAtATime),
            "each of them takes memory, and other servers may fail"
        ),
    ]
}
