#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The objects of a CA in JSON (RFC 8555, section 7.1), as far as they are used.
enum ACMEResource {
    /// Reads an object; nil if it is another one. The size is bounded by the answer's.
    static func decode<Object: Decodable>(_ type: Object.Type, _ body: [UInt8]) -> Object? {
        try? JSONDecoder().decode(type, from: Data(body))
    }

    /// The CA's other URLs.
    struct Directory: Decodable {
        struct Meta: Decodable {
            let externalAccountRequired: Bool?
        }

        let newNonce: String
        let newAccount: String
        let newOrder: String
        let renewalInfo: String?
        let meta: Meta?
    }

    struct Account: Decodable {
        let status: String
    }

    struct Order: Decodable {
        let status: String
        let authorizations: [String]?
        let finalize: String?
        let certificate: String?
        let error: ProblemDocument?
    }

    struct Authorization: Decodable {
        struct Identifier: Decodable {
            let type: String
            let value: String
        }

        let status: String
        let identifier: Identifier
        let challenges: [Challenge]
    }

    struct Challenge: Decodable {
        let type: String
        let url: String
        let status: String?
        let token: String?
        let error: ProblemDocument?
    }

    struct RenewalInfo: Decodable {
        struct Window: Decodable {
            let start: String
            let end: String
        }

        let suggestedWindow: Window
        let explanationURL: String?
    }
}
