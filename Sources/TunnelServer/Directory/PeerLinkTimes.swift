import NIOCore

/// The times after which a server of the cluster counts as not reached.
package struct PeerLinkTimes: Sendable {
    /// Time that visitors wait for the session. 1.5 s: some round trips between continents. The attempt continues for later
    /// visitors.
    package var session = TimeAmount.milliseconds(1_500)
    /// Time for the answer to a stream. 500 ms: the other server answers once its session has begun the stream, which takes one
    /// round trip.
    package var answer = TimeAmount.milliseconds(500)
    /// Time for the sign of life. 750 ms: two round trips between continents.
    package var signOfLife = TimeAmount.milliseconds(750)

    /// The times of a server in use.
    package init() {}
}
