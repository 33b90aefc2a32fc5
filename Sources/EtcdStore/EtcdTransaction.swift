import Cluster

/// Changes as one transaction of etcd, and its answer.
///
/// The outer transaction has no condition, and one nested transaction for each change. etcd compares for all of them before
/// the first one writes. That is why no two changes may concern the same place.
struct EtcdTransaction {
    private let changes: [StoreChange]
    private let entries: EtcdEntries

    /// - Parameter changes: at most ``StoreLimits/changes``.
    init(_ changes: [StoreChange], _ entries: EtcdEntries) {
        (self.changes, self.entries) = (changes, entries)
    }

    /// The request.
    var request: TransactionRequest {
        TransactionRequest(success: changes.map { .init(transaction: nested($0)) })
    }

    /// The answers in the order of the changes; nil if the reply has another form.
    ///
    /// - Parameter isRepeated: whether an earlier attempt may have made the changes. A claim that is held exactly as it was
    ///   asked for is granted then.
    func answers(_ reply: TransactionAnswer, isRepeated: Bool) -> [StoreAnswer]? {
        guard let responses = reply.responses, responses.count == changes.count,
            let number = reply.header?.revision?.value, number > 0
        else { return nil }
        var answers: [StoreAnswer] = []
        for (change, response) in zip(changes, responses) {
            guard let nested = response.transaction else { return nil }
            switch change {
            case .server:
                answers.append(.granted(epoch: Revision(number)))
            case .release, .withdraw:
                answers.append(.released)
            case .claim where nested.succeeded == true:
                answers.append(.granted(epoch: Revision(number)))
            case .claim(let claim, let lease, _):
                let holders = (nested.responses ?? []).flatMap { $0.range?.keyValues ?? [] }
                if isRepeated, let epoch = epoch(of: claim, lease, among: holders) {
                    answers.append(.granted(epoch: epoch))
                } else {
                    answers.append(.held(entries.claims(holders)))
                }
            }
        }
        return answers
    }

    private func epoch(of claim: Claim, _ lease: LeaseID, among holders: [KeyValue]) -> Revision? {
        for holder in holders {
            if case .claim(let held, lease)? = entries.entry(holder), held.claim == claim { return held.epoch }
        }
        return nil
    }

    // MARK: One change

    private func nested(_ change: StoreChange) -> TransactionRequest {
        switch change {
        case .claim(let claim, let lease, let over):
            return self.claim(claim, lease, over)
        case .release(let key, let epoch):
            let name = entries.keys.claim(key)
            return TransactionRequest(
                compare: [.isWritten(name, at: epoch)],
                success: [.init(delete: DeleteRequest(key: EtcdBytes(name)))]
            )
        case .server(let record, let lease):
            return TransactionRequest(success: [put(entries.keys.server(record.id), ServerValue(record), lease)])
        case .withdraw(let id):
            return TransactionRequest(
                success: [.init(delete: DeleteRequest(key: EtcdBytes(entries.keys.server(id))))]
            )
        }
    }

    /// A claim is granted if these are empty: the place outside its owner, and for a client the part, for a member of a
    /// group its own key. A take-over leaves out its own key, which must have the epoch.
    private func claim(_ claim: Claim, _ lease: LeaseID, _ over: Revision?) -> TransactionRequest {
        let keys = entries.keys
        let name = keys.claim(claim.key)
        let (others, part) = (keys.otherOwners(than: claim.key), keys.part(of: claim.key))
        var conditions = others.map(Comparison.isEmpty)
        switch (over, claim.key.owner.isGroup) {
        case (nil, true):
            conditions.append(.isAbsent(name))
        case (nil, false):
            conditions.append(.isEmpty(part))
        case (let over?, true):
            conditions.append(.isWritten(name, at: over))
        case (let over?, false):
            conditions.append(.isWritten(name, at: over))
            conditions.append(.isEmpty(KeyRange(part.start, name)))
            conditions.append(.isEmpty(KeyRange(name + [0], part.end)))
        }
        var reads = others.map { RangeRequest($0, limit: EtcdLimits.holders) }
        reads.append(
            claim.key.owner.isGroup ? RangeRequest(key: name) : RangeRequest(part, limit: EtcdLimits.holders)
        )
        return TransactionRequest(
            compare: conditions,
            success: [put(name, ClaimValue(claim), lease)],
            failure: reads.map { .init(range: $0) }
        )
    }

    private func put(_ key: [UInt8], _ value: some Encodable, _ lease: LeaseID) -> TransactionRequest.Operation {
        // Texts and numbers always have a form in JSON.
        let bytes = JSONBytes.encoded(value) ?? []
        return .init(put: PutRequest(key: EtcdBytes(key), value: EtcdBytes(bytes), lease: EtcdNumber(lease.number)))
    }
}

extension StoreChange {
    /// The lease to which the entry will belong; nil for a removal.
    var lease: LeaseID? {
        switch self {
        case .claim(_, let lease, _), .server(_, let lease): lease
        case .release, .withdraw: nil
        }
    }
}
