import Cluster
import HTTP1
import Logging
import Synchronization

/// Reads keys and values. One that makes no sense is left out, and is in the log once.
final class EtcdEntries: Sendable {
    /// An entry that was read.
    enum Entry {
        case server(ServerRecord)
        case claim(HeldClaim, lease: LeaseID)
    }

    /// How keys are formed.
    let keys: EtcdKeys
    private let logger: Logger
    private let reported = Mutex<Set<[UInt8]>>([])

    init(_ keys: EtcdKeys, logger: Logger) {
        (self.keys, self.logger) = (keys, logger)
    }

    /// Reads an entry; nil if its key or its value cannot be read.
    func entry(_ keyValue: KeyValue) -> Entry? {
        let key = keyValue.key?.value ?? []
        let bytes = keyValue.value?.value ?? []
        switch keys.entry(of: key) {
        case .server(let id)?:
            if let record = JSONBytes.decoded(ServerValue.self, bytes)?.record(id) { return .server(record) }
        case .claim(let name)?:
            if let epoch = keyValue.modRevision?.value, epoch > 0,
                let claim = JSONBytes.decoded(ClaimValue.self, bytes)?.claim(name)
            {
                return .claim(HeldClaim(claim, epoch: Revision(epoch)), lease: LeaseID(keyValue.lease?.value ?? 0))
            }
        case nil: break
        }
        report(key)
        return nil
    }

    /// The claims among entries, in their order.
    func claims(_ keyValues: [KeyValue]) -> [HeldClaim] {
        keyValues.compactMap { keyValue in
            if case .claim(let held, _)? = entry(keyValue) { held } else { nil }
        }
    }

    /// A change of a watch; nil if its key or its value cannot be read.
    func change(_ event: WatchAnswer.Event) -> StoreEntryChange? {
        guard let keyValue = event.keyValue else { return nil }
        guard event.type == "DELETE" else {
            return switch entry(keyValue) {
            case .server(let record)?: .server(record)
            case .claim(let held, _)?: .claim(held)
            case nil: nil
            }
        }
        let key = keyValue.key?.value ?? []
        switch keys.entry(of: key) {
        case .server(let id)?: return .serverGone(id)
        case .claim(let name)?: return .claimGone(name)
        case nil:
            report(key)
            return nil
        }
    }

    private func report(_ key: [UInt8]) {
        let key = Array(key.prefix(EtcdLimits.key))
        let isNew = reported.withLock { reported in
            reported.count < EtcdLimits.reportedEntries && reported.insert(key).inserted
        }
        guard isNew else { return }
        let shown = String(decoding: key, as: UTF8.self).escapedForDisplay()
        logger.warning("an entry of etcd cannot be read and is ignored", metadata: ["key": .string(shown)])
    }
}
