import Cluster

/// The head of each answer.
struct AnswerHeader: Decodable, Sendable {
    let revision: EtcdNumber?
}

/// A key with its value. Fields that are 0 or empty are missing.
struct KeyValue: Decodable, Sendable {
    let key: EtcdBytes?
    let value: EtcdBytes?
    let modRevision: EtcdNumber?
    let lease: EtcdNumber?

    private enum CodingKeys: String, CodingKey {
        case key, value, lease
        case modRevision = "mod_revision"
    }
}

/// The answer to a read.
struct RangeAnswer: Decodable, Sendable {
    let header: AnswerHeader?
    let keyValues: [KeyValue]?
    let more: Bool?

    private enum CodingKeys: String, CodingKey {
        case header, more
        case keyValues = "kvs"
    }
}

/// The answer to a transaction.
struct TransactionAnswer: Decodable, Sendable {
    struct Operation: Decodable, Sendable {
        let range: RangeAnswer?
        let transaction: TransactionAnswer?

        private enum CodingKeys: String, CodingKey {
            case range = "response_range"
            case transaction = "response_txn"
        }
    }

    let header: AnswerHeader?
    let succeeded: Bool?
    let responses: [Operation]?
}

/// The answer to a request about a lease.
struct LeaseAnswer: Decodable, Sendable {
    let id: EtcdNumber?
    /// The seconds that are left; missing for 0, and negative for a lease that has ended.
    let seconds: EtcdNumber?

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case seconds = "TTL"
    }
}

/// The answer to a name and a password.
struct LoginAnswer: Decodable, Sendable {
    let token: String?
}

/// One line of a stream.
struct StreamLine<Value: Decodable>: Decodable {
    let result: Value?
    let error: ErrorReason?
}

/// One message of a watch.
struct WatchAnswer: Decodable, Sendable {
    struct Event: Decodable, Sendable {
        /// `DELETE` for a removal; missing for a write.
        let type: String?
        let keyValue: KeyValue?

        private enum CodingKeys: String, CodingKey {
            case type
            case keyValue = "kv"
        }
    }

    let header: AnswerHeader?
    let created: Bool?
    let canceled: Bool?
    let cancelReason: String?
    let compactRevision: EtcdNumber?
    /// Whether more of the same events follows.
    let fragment: Bool?
    let events: [Event]?

    private enum CodingKeys: String, CodingKey {
        case header, created, canceled, fragment, events
        case cancelReason = "cancel_reason"
        case compactRevision = "compact_revision"
    }

    /// Why the watch is cancelled. Most releases have no code for it.
    var cancellation: ErrorReason {
        ErrorReason(code: 14, message: cancelReason ?? "the watch is cancelled")
    }
}

/// Why etcd refuses a request: the body of an answer with an error, or the error of a stream's line.
struct ErrorReason: Decodable, Error, Sendable, Hashable {
    /// A code of gRPC.
    let code: Int
    /// The reason, in etcd's words.
    let message: String

    private enum CodingKeys: String, CodingKey {
        case code, message
        case streamCode = "grpc_code"
    }

    init(code: Int, message: String) {
        (self.code, self.message) = (code, message)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        code =
            try container.decodeIfPresent(Int.self, forKey: .code)
            ?? container.decode(Int.self, forKey: .streamCode)
        message = try container.decode(String.self, forKey: .message)
    }
}
