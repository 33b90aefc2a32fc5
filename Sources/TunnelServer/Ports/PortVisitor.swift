import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore

/// The fronts before the public ports, whose connections begin with a PROXY header.
struct PortFronts: Sendable {
    let fronts: TrustedFronts
    /// Time for the header.
    let timeout: TimeAmount

    /// - Returns: nil if no front relays to the public ports.
    init?(_ configuration: ServerConfiguration) {
        guard configuration.hasFrontsOnPublicPorts else { return nil }
        fronts = configuration.trustedFronts
        timeout = TimeAmount(configuration.serverLimits.handshakeTimeout)
    }
}

/// The fronts as they are configured now, for listeners that outlive a reload.
final class PresentFronts: Sendable {
    private let present = Mutex<PortFronts?>(nil)

    var value: PortFronts? {
        get { present.withLock { $0 } }
        set { present.withLock { $0 = newValue } }
    }
}

/// A connection to a public port, as its socket or a front describes it.
struct PortVisitor: Sendable {
    /// `203.0.113.9:40001`, as in the log.
    let description: String
    let address: IPAddress?
    /// The public address that it connected to.
    let publicAddress: String

    /// Describes a connection by its socket. A front's connection first has to name its visitor.
    ///
    /// - Parameters:
    ///   - fronts: the fronts before the public ports; nil if there are none.
    ///   - then: called at once, or once the header was read. If it throws, the connection is closed.
    static func identify(
        _ channel: any Channel,
        behind fronts: PortFronts?,
        then: @escaping (PortVisitor) throws -> Void
    ) throws {
        let peer = channel.peerAddress
        let direct = PortVisitor(
            description: channel.peerDescription,
            address: peer?.ip?.unmapped,
            publicAddress: channel.localAddress?.inShort ?? ""
        )
        guard let fronts, fronts.fronts.contains(peer) else { return try then(direct) }
        try channel.pipeline.syncOperations.addHandler(
            ProxyProtocolHandler(isRequired: true, timeout: fronts.timeout) { header in
                // The header of a front's own health check names no visitor: the front counts as one.
                guard let ends = header?.ends else { return try then(direct) }
                try then(
                    PortVisitor(
                        description: "\(ends.source)",
                        address: ends.source.address,
                        publicAddress: "\(ends.destination)"
                    )
                )
            }
        )
    }
}
