import NIOCore

extension UDPIngress {
    /// What opens flows.
    package struct Opener {
        /// Takes what a sender writes before each datagram, and what replies have before them too; nil to drop the datagram.
        let takeHeader: (inout ByteBuffer, SocketAddress) -> ByteBuffer?
        /// What the flow of a new sender, or of a new header, belongs to.
        let open: (SocketAddress, ByteBuffer) -> IngressFlow.Admission

        /// Flows of datagrams as they are.
        package init(_ open: @escaping (SocketAddress) -> IngressFlow.Admission) {
            takeHeader = { _, _ in ByteBuffer() }
            self.open = { remote, _ in open(remote) }
        }

        /// Flows of datagrams behind a header. Each header of a sender is a flow of its own.
        package init(
            takeHeader: @escaping (inout ByteBuffer, SocketAddress) -> ByteBuffer?,
            open: @escaping (SocketAddress, ByteBuffer) -> IngressFlow.Admission
        ) {
            (self.takeHeader, self.open) = (takeHeader, open)
        }
    }
}
