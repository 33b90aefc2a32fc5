import Mux
import NIOCore

/// The socket side of one flow: a stream of kind udp.
package protocol DatagramFlow: AnyObject {
    /// What the flow costs besides its stream, bytes.
    var cost: Int { get }
    /// Sends a datagram of the peer; it leaves with the next ``flush()``.
    func deliver(_ datagram: ByteBuffer)
    /// Hands everything to the kernel.
    func flush()
    /// The stream is gone. Called once, unless the flow has ended it.
    func ended(_ code: ResetCode)
}

/// The sockets and streams that ``TunnelStatistics`` counts.
package protocol CountedStream: AnyObject {
    /// The stream, once there is one.
    var id: StreamID? { get }
    var identity: StreamIdentity { get }
    /// What the socket has moved so far.
    var moved: StreamPipe.ByteCounts { get }
}

extension StreamPipe: CountedStream {}
