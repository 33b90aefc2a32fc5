/// The bounds of looking names up.
package struct NameLimits: Sendable, Equatable {
    package init() {}

    /// Lookups that run at the same time, each on a thread of its own. 16: a lookup may take a minute, and each thread
    /// costs some 100 KiB.
    package var threads = 16
    /// Those of them that only carriers may take. 4: a server and a proxy, each with a second try, whatever the names of
    /// services do.
    package var threadsForCarriers = 4
    /// Those that the destinations of one client may take. 4: other clients and the server's own services find threads.
    package var threadsPerClient = 4
    /// Lookups of one name at the same time. 2: the second one helps if the first one has lost its packets.
    package var threadsPerName = 2
    /// How long the first lookup of a name may take before a second one begins, and before the last good answer is
    /// given. 3 s: a resolver repeats its question after 5 s.
    package var patience = Duration.seconds(3)
    /// How long an answer serves. 5 s: a burst of visitors asks once, and a moved service is found soon.
    package var validity = Duration.seconds(5)
    /// The same for a failure. 1 s: a name that appears is found at once.
    package var failureValidity = Duration.seconds(1)
    /// How long the last good answer serves if no name server answers. 1 h: an outage of DNS then passes unnoticed.
    package var lastGoodValidity = Duration.seconds(3_600)
    /// Names that are remembered. 1,024: a configuration names fewer, and a proxy script could name ever others.
    package var names = 1_024
    /// Addresses of one name that are kept. 16: more are of no use to one connection.
    package static let addresses = 16
    /// Bytes of a name (RFC 1035 section 2.3.4).
    package static let nameLength = 253
}
