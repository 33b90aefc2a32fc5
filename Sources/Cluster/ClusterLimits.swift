/// Times and limits of a server's part in its cluster.
package struct ClusterLimits: Sendable, Hashable {
    /// Seconds for which a lease lasts without a sign of life. 10: the places of a machine that has vanished are free then.
    package var leaseSeconds = 10
    /// Time between two signs of life of a lease. 3 s: two may be lost.
    package var keepAliveInterval = Duration.seconds(3)
    /// Least time before a failed request is sent again; it doubles up to ``longestRetry``.
    package var shortestRetry = Duration.milliseconds(200)
    /// Longest time before a failed request is sent again. 1 s: claims are put back within 2 s once the store is there.
    package var longestRetry = Duration.seconds(1)
    /// Time in which the store must answer a new claim. Later the client is asked to come back.
    package var claimTimeout = Duration.seconds(5)
    /// Time in which the home of a claim must answer for its session before another server takes the claim over.
    package var probeTimeout = Duration.seconds(2)
    /// Time for which the claims of a name are believed without another read.
    package var nameLifetime = Duration.seconds(60)
    /// Time for which a name without a claim is not read again. 1 s: a flood of unknown names costs the store little.
    package var unknownNameLifetime = Duration.seconds(1)
    /// Names with a claim that are remembered. 100,000: about 60 MB. The one that was read first is forgotten.
    package var names = 100_000
    /// Names without a claim that are remembered. 10,000: they do not push out the names that have one.
    package var unknownNames = 10_000
    /// Claims of one name that are remembered. 1,000: members of a group beyond it get no visitors from this server.
    package var claimsOfName = 1_000
    /// Claims of ports that are remembered. 200,000: about 120 MB. Later ones get no visitors from this server.
    package var portClaims = 200_000
    /// Servers that are remembered. 10,000: a bound on what the store may have.
    package var servers = 10_000
    /// Visitors that wait for the store to find their names at a time. Further ones are refused.
    package var lookups = 1_000
    /// Names that are on their way from the store at a time. 32: etcd answers them within milliseconds, and further names wait.
    package var nameReads = 32
    /// Time for which a name waits for its turn. Later its visitors are refused, since the store is too slow.
    package var nameWait = Duration.seconds(2)
    /// Claims of this server. A claim takes a place in a lease, and about 1 KiB.
    package var claims = 100_000

    /// Creates the default limits.
    package init() {}
}
