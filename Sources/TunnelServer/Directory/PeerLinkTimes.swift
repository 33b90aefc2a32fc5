import NIOCore

/// The times of a link to another server of the cluster.
package struct PeerLinkTimes: Sendable {
    /// Time that visitors wait for the link's session. 1.5 s: some round trips between continents. The attempt continues for
    /// later visitors.
    package var session = TimeAmount.milliseconds(1_500)
    /// Time for the answer to a stream, after which the server is asked for a sign of life. 500 ms: it answers once its
    /// session has begun the stream, which takes one round trip.
    package var answer = TimeAmount.milliseconds(500)
    /// Time for the sign of life. Without one, streams without an answer go elsewhere. 750 ms: two round trips between
    /// continents.
    package var signOfLife = TimeAmount.milliseconds(750)

    /// The times of a server in use.
    package init() {}
}
