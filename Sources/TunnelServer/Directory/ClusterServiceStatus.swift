import Cluster
import HTTP1
import NIOCore
import TunnelCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The state of the cluster for the operator.
extension ClusterService {
    func status() async -> ClusterStatus? {
        try? await loop.submit { self.report() }.get()
    }

    func ownRecord() async -> ServerRecord? {
        try? await loop.submit { self.state.value.node.ownRecord }.get()
    }

    func measure() async {
        if let status = await status() { metrics.publish(status) }
    }

    private func report() -> ClusterStatus {
        let state = state.value
        let (figures, ports) = (state.node.figures, ports.counts)
        return ClusterStatus(
            server: "\(id)",
            peerUrl: state.node.ownRecord.peerURL.escapedForDisplay(),
            isStoreReachable: state.store.isUp,
            storeSilentSince: state.store.silentSince.map { Date(timeIntervalSince1970: Double($0)) },
            lastStoreFailure: state.store.lastFailure,
            leases: figures.leases,
            claims: figures.claims,
            waitingClaims: figures.waitingClaims,
            portsOfOthers: ports.used,
            unservedPorts: ports.unserved,
            servers: state.node.allServers.map { record in
                let link = state.links.known(record.id)
                return ClusterServerStatus(record, isLinked: link?.isOpen == true, streams: link?.streams ?? 0)
            }
        )
    }

    func clients() async -> [ClusterServerClients] {
        let servers = (try? await loop.submit { self.state.value.node.allServers }.get()) ?? []
        return await ClusterClients.answers(of: servers.filter { $0.id != id }) { server, time in
            await self.ask(server, within: time)
        }
    }

    /// Asks one server for its clients.
    private func ask(_ server: ServerRecord, within time: TimeAmount) async -> Result<[UInt8], PeerFailure> {
        await withCheckedContinuation { continuation in
            loop.execute { [self] in
                guard !state.value.isStopped else {
                    return continuation.resume(returning: .failure(PeerFailure("this server is stopping")))
                }
                state.value.links.link(to: server).askForClients(within: time) { continuation.resume(returning: $0) }
            }
        }
    }
}
