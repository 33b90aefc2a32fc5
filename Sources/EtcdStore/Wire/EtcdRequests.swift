import Cluster

/// The body of `/v3/kv/range`, and a read within a transaction.
struct RangeRequest: Encodable {
    let key: EtcdBytes
    let rangeEnd: EtcdBytes?
    let limit: EtcdNumber?
    let revision: EtcdNumber?

    private enum CodingKeys: String, CodingKey {
        case key, limit, revision
        case rangeEnd = "range_end"
    }

    init(_ range: KeyRange, limit: Int, revision: Revision? = nil) {
        (key, rangeEnd) = (EtcdBytes(range.start), EtcdBytes(range.end))
        self.limit = EtcdNumber(Int64(limit))
        self.revision = revision.map { EtcdNumber($0.number) }
    }

    init(key: [UInt8]) {
        self.key = EtcdBytes(key)
        (rangeEnd, limit, revision) = (nil, nil, nil)
    }
}

/// A write within a transaction.
struct PutRequest: Encodable {
    let key: EtcdBytes
    let value: EtcdBytes
    let lease: EtcdNumber?
}

/// A removal of one key within a transaction.
struct DeleteRequest: Encodable {
    let key: EtcdBytes
}

/// A condition of a transaction.
struct Comparison: Encodable {
    enum Target: String, Encodable {
        case create = "CREATE"
        case mod = "MOD"
    }

    enum Result: String, Encodable {
        case equal = "EQUAL"
        case less = "LESS"
    }

    let target: Target
    let result: Result
    let key: EtcdBytes
    var rangeEnd: EtcdBytes?
    var createRevision: EtcdNumber?
    var modRevision: EtcdNumber?

    private enum CodingKeys: String, CodingKey {
        case target, result, key
        case rangeEnd = "range_end"
        case createRevision = "create_revision"
        case modRevision = "mod_revision"
    }

    /// No key of the range exists. etcd compares an empty range as a key whose numbers are all 0.
    static func isEmpty(_ range: KeyRange) -> Comparison {
        Comparison(
            target: .create,
            result: .equal,
            key: EtcdBytes(range.start),
            rangeEnd: EtcdBytes(range.end),
            createRevision: EtcdNumber(0)
        )
    }

    /// The key does not exist.
    static func isAbsent(_ key: [UInt8]) -> Comparison {
        Comparison(target: .create, result: .equal, key: EtcdBytes(key), createRevision: EtcdNumber(0))
    }

    /// The key was written last at a revision.
    static func isWritten(_ key: [UInt8], at revision: Revision) -> Comparison {
        Comparison(target: .mod, result: .equal, key: EtcdBytes(key), modRevision: EtcdNumber(revision.number))
    }

    /// The key does not exist, or was written last before a revision.
    static func isWritten(_ key: [UInt8], before revision: Revision) -> Comparison {
        Comparison(target: .mod, result: .less, key: EtcdBytes(key), modRevision: EtcdNumber(revision.number))
    }
}

/// The body of `/v3/kv/txn`, and a transaction within another.
struct TransactionRequest: Encodable {
    /// One operation: exactly one field is there.
    struct Operation: Encodable {
        var put: PutRequest?
        var range: RangeRequest?
        var delete: DeleteRequest?
        var transaction: TransactionRequest?

        private enum CodingKeys: String, CodingKey {
            case put = "request_put"
            case range = "request_range"
            case delete = "request_delete_range"
            case transaction = "request_txn"
        }
    }

    var compare: [Comparison] = []
    var success: [Operation] = []
    var failure: [Operation] = []
}

/// The body of requests about a lease.
struct LeaseRequest: Encodable {
    var id: EtcdNumber?
    var seconds: EtcdNumber?

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case seconds = "TTL"
    }
}

/// The body of `/v3/auth/authenticate`.
struct LoginRequest: Encodable {
    let name: String
    let password: String
}

/// The body of `/v3/watch`.
struct WatchRequest: Encodable {
    struct Create: Encodable {
        let key: EtcdBytes
        let rangeEnd: EtcdBytes
        let startRevision: EtcdNumber
        /// Whether a message without events comes from time to time, every ten minutes by default.
        let progressNotify = true
        /// Whether events that are too large for one message are sent in several.
        let fragment = true

        private enum CodingKeys: String, CodingKey {
            case key, fragment
            case rangeEnd = "range_end"
            case startRevision = "start_revision"
            case progressNotify = "progress_notify"
        }
    }

    let create: Create

    private enum CodingKeys: String, CodingKey {
        case create = "create_request"
    }

    init(_ range: KeyRange, from revision: Revision) {
        create = Create(
            key: EtcdBytes(range.start),
            rangeEnd: EtcdBytes(range.end),
            startRevision: EtcdNumber(revision.number)
        )
    }
}
