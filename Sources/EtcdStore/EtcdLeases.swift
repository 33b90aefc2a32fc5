import Cluster

extension EtcdClient {
    /// Creates a lease.
    func grantLease(seconds: Int) async throws(StoreFailure) -> LeaseID {
        let reply = try await ask("/v3/lease/grant", LeaseRequest(seconds: EtcdNumber(Int64(seconds))))
        guard let number = try reply.decoded(LeaseAnswer.self).id?.value, number > 0 else {
            throw reply.malformed("a lease without a number")
        }
        return LeaseID(number)
    }

    /// Begins a lease's time anew. The gateway's stream answers one request and ends.
    ///
    /// - Returns: whether the lease is there.
    func keepAlive(_ lease: LeaseID) async throws(StoreFailure) -> Bool {
        let reply = try await ask("/v3/lease/keepalive", LeaseRequest(id: EtcdNumber(lease.number)))
        let answer = try reply.firstLine(LeaseAnswer.self)
        guard answer.id?.value == lease.number else { throw reply.malformed("another lease") }
        return answer.seconds?.value ?? 0 > 0
    }

    /// Ends a lease. One that has ended is no failure.
    func revoke(_ lease: LeaseID) async throws(StoreFailure) {
        do {
            _ = try await call(EtcdRequest("/v3/lease/revoke", LeaseRequest(id: EtcdNumber(lease.number))))
        } catch {
            if case .rejected(let rejection, _) = error, rejection.kind == .leaseNotFound { return }
            throw error.failure
        }
    }

    /// Whether a lease has ended.
    func hasEnded(_ lease: LeaseID) async throws(StoreFailure) -> Bool {
        let reply = try await ask("/v3/lease/timetolive", LeaseRequest(id: EtcdNumber(lease.number)))
        return try reply.decoded(LeaseAnswer.self).seconds?.value ?? 0 < 0
    }

    /// Sends a request that etcd does not refuse.
    func ask(_ path: String, _ body: some Encodable) async throws(StoreFailure) -> EtcdReply {
        do {
            return try await call(EtcdRequest(path, body))
        } catch {
            throw error.failure
        }
    }
}
