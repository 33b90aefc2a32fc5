import NIOCore
import NIOEmbedded
import Testing

@testable import TunnelServer

/// A document of another server: bounds of bytes and time.
@Suite("Documents of other servers")
struct PeerDocumentTests {
    /// What a document has brought.
    private final class Answers {
        var all: [Result<[UInt8], PeerFailure>] = []
    }

    private func document(limit: Int = 10) -> (PeerDocument, Answers) {
        let answers = Answers()
        return (PeerDocument(limit: limit) { answers.all.append($0) }, answers)
    }

    @Test("A document is its bytes in order, once the other server has sent all")
    func whole() {
        let (document, answers) = document()
        for text in ["abc", "", "de", "fghij"] { #expect(!document.deliver(ByteBuffer(string: text))) }
        #expect(answers.all.isEmpty)
        _ = document.endOutput()
        document.detach()
        #expect(answers.all == [.success(Array("abcdefghij".utf8))])
    }

    @Test("A document that is a byte too long is refused, and what follows is dropped")
    func tooLong() {
        let (document, answers) = document()
        for text in ["abcdefghij", "k", "l"] { _ = document.deliver(ByteBuffer(string: text)) }
        _ = document.endOutput()
        #expect(answers.all == [.failure(PeerFailure("its answer is longer than 10 bytes"))])
    }

    @Test("A server that does not answer in time is reported once")
    func late() {
        let loop = EmbeddedEventLoop()
        let (document, answers) = document()
        document.wait(.seconds(3), on: loop)
        _ = document.deliver(ByteBuffer(string: "a"))
        loop.advanceTime(by: .seconds(3))
        _ = document.endOutput()
        document.refuse("it was not reached")
        #expect(answers.all == [.failure(PeerFailure("it has not answered within 3 s"))])
        #expect(document.isOver && !document.isPending)
    }

    @Test("A stream that ends otherwise brings no document")
    func ends() {
        for (end, reason) in [
            ({ $0.reset(.notAllowed) }, "its release does not know the question"),
            ({ $0.abort(.connectionReset) }, "its answer was cut off"), ({ $0.detach() }, "its answer is missing"),
        ] as [((PeerDocument) -> Void, String)] {
            let (document, answers) = document()
            _ = document.deliver(ByteBuffer(string: "a"))
            end(document)
            #expect(answers.all == [.failure(PeerFailure(reason))])
        }
    }
}
