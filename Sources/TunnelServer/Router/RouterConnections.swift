import NIOCore
import TunnelCore

/// The connections that the router accepts.
extension Router {
    /// Prepares a connection.
    ///
    /// - Parameter isSecure: whether it has come to an address for TLS.
    func prepare(_ channel: any Channel, isSecure: Bool) throws {
        try SocketOptions.visitor(channel)
        let configuration = core.configuration
        var origin = VisitorOrigin(channel, fronts: configuration.trustedFronts)
        guard admit(channel, &origin, configuration.serverLimits) else {
            return try channel.pipeline.syncOperations.addHandler(BusyHandler(isPlain: !isSecure))
        }
        guard origin.front != nil else { return try install(channel, origin, isSecure: isSecure) }
        try channel.pipeline.syncOperations.addHandler(
            ProxyProtocolHandler(
                isRequired: false,
                timeout: TimeAmount(configuration.serverLimits.visitorHeadTimeout)
            ) { [origin] header in
                var origin = origin
                origin.note(header)
                try self.install(channel, origin, isSecure: isSecure)
            }
        )
    }

    /// Prepares a connection that another server of the cluster has sent.
    func prepare(_ channel: any Channel, relayed visitor: RoutedVisitor, isSecure: Bool) throws {
        var origin = VisitorOrigin(relayed: visitor)
        guard admit(channel, &origin, core.configuration.serverLimits) else { return channel.close(promise: nil) }
        try install(channel, origin, isSecure: isSecure)
    }

    private func install(_ channel: any Channel, _ origin: VisitorOrigin, isSecure: Bool) throws {
        let pipeline = channel.pipeline.syncOperations
        if isSecure {
            try pipeline.addHandler(ClientHelloHandler(self, origin))
        } else {
            try pipeline.addHandler(HTTPVisitor(self, channel, origin))
        }
    }

    /// Whether there is room for another connection. One address gets no more than a part of it.
    private func admit(_ channel: any Channel, _ origin: inout VisitorOrigin, _ limits: ServerLimits) -> Bool {
        // A front stands for many visitors.
        let address = origin.front == nil ? origin.address.map(Admission.key) : nil
        let highest = ProcessUsage.descriptorLimit.map { max($0 - limits.reservedDescriptors, $0 / 2) }
        guard highest.map({ DescriptorCount.shared.inUse <= $0 }) ?? true,
            slots.enter(address, limit: limits.visitorConnections)
        else {
            // Those that wait make room for the next visitors, and for clients if the endpoint shares the address.
            if slots.isFull(limit: limits.visitorConnections) { shed() }
            return false
        }
        let slot = VisitorSlot(slots, address)
        channel.closeFuture.whenComplete { _ in slot.leave() }
        origin.slot = slot
        return true
    }
}
