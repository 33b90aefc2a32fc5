/// A request of a server to the store.
package enum StoreRequest: Sendable, Hashable {
    /// ``ClaimStore/grantLease(seconds:)``
    case grantLease(seconds: Int)
    /// ``ClaimStore/keepAlive(_:)``
    case keepAlive(LeaseID)
    /// ``ClaimStore/revoke(_:)``
    case revoke(LeaseID)
    /// ``ClaimStore/apply(_:)``
    case apply([StoreChange])
    /// ``ClaimStore/read(_:)``
    case read(StoreScope)
}

/// The store's reply to a request.
package enum StoreReply: Sendable, Hashable {
    /// A lease was granted.
    case lease(LeaseID)
    /// Whether a lease lives.
    case isAlive(Bool)
    /// A lease was revoked.
    case revoked
    /// The answers to changes, in their order.
    case answers([StoreAnswer])
    /// The entries of a scope.
    case snapshot(StoreSnapshot)
    /// There is no answer. Whether changes were made is not known.
    case failed(StoreFailure)
}

extension ClaimStore {
    /// Performs a request.
    package func perform(_ request: StoreRequest) async -> StoreReply {
        do throws(StoreFailure) {
            switch request {
            case .grantLease(let seconds): return .lease(try await grantLease(seconds: seconds))
            case .keepAlive(let lease): return .isAlive(try await keepAlive(lease))
            case .revoke(let lease):
                try await revoke(lease)
                return .revoked
            case .apply(let changes): return .answers(try await apply(changes))
            case .read(let scope): return .snapshot(try await read(scope))
            }
        } catch {
            return .failed(error)
        }
    }
}
