use http::Method;

use crate::toy::{Answer, REQUEST_ID, XMLNS, call};

fn form(body: &str) -> Answer {
    let headers = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    )];
    call(Method::POST, "/", &headers, body.to_owned())
}

fn result(text: &str) -> String {
    let meta = format!("<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>");
    format!("<EchoResponse xmlns=\"{XMLNS}\"><EchoResult>{text}</EchoResult>{meta}</EchoResponse>")
}

#[test]
fn flattened_names_become_structures_lists_and_maps() {
    for (body, expected) in [
        ("", ""),
        (
            "Name=a+%26+b&Count=7&IsOn=true&Share=0.5&Kind=Image&Code=aGk%3D",
            "<Name>a &amp; b</Name><Count>7</Count><IsOn>true</IsOn><Share>0.5</Share>\
             <Code>aGk=</Code><Kind>Image</Kind>",
        ),
        (
            "Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=&Tags.member.10.Key=c",
            "<Tags><member><Key>a</Key><Value></Value></member><member><Key>b</Key></member>\
             <member><Key>c</Key></member></Tags>",
        ),
        (
            "Tags.1.Key=a&Names.member.1=x&Names.member.2=y",
            "<Tags><member><Key>a</Key></member></Tags>\
             <Names><member>x</member><member>y</member></Names>",
        ),
        ("Names=&Variables=&Tags.member=", ""),
        ("Names=x", "<Names><member>x</member></Names>"),
        (
            "Variables.entry.1.key=A&Variables.entry.1.value=1&Variables.entry.2.key=B\
             &Variables.entry.2.value=2",
            "<Variables><entry><key>A</key><value>1</value></entry><entry><key>B</key>\
             <value>2</value></entry></Variables>",
        ),
        (
            "Variables.1.Name=A&Variables.1.Value=1",
            "<Variables><entry><key>A</key><value>1</value></entry></Variables>",
        ),
        ("Inner.MustBe=x", "<Inner><MustBe>x</MustBe></Inner>"),
        (
            "When=2026-11-20T21:10:00Z",
            "<When>2026-11-20T21:10:00Z</When>",
        ),
    ] {
        let answer = form(&format!("Action=Echo&Version=2026-01-01&{body}"));
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "text/xml");
        assert_eq!(answer.header("x-amzn-requestid"), REQUEST_ID);
        assert_eq!(answer.text(), result(expected), "{body}");
    }
}

#[test]
fn an_action_may_stand_in_the_query() {
    let answer = call(Method::GET, "/?Action=Echo&Name=f", &[], "");
    assert_eq!(answer.text(), result("<Name>f</Name>"));
}

/// A form or an image on a page needs no permission of the server; the browser tells where the page is from.
#[test]
fn a_page_of_another_host_calls_nothing() {
    let evil = [("origin", "http://evil.example")];
    let image = [("sec-fetch-site", "cross-site")];
    for (method, headers) in [(Method::GET, image), (Method::POST, evil)] {
        let answer = call(method, "/?Action=Echo&Name=f", &headers, "");
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("<Code>AccessDeniedException</Code>"));
    }
    let own = [("origin", "http://localhost:3000")];
    let answer = call(Method::POST, "/?Action=Echo&Name=f", &own, "");
    assert_eq!(answer.text(), result("<Name>f</Name>"));
}

#[test]
fn an_answer_of_nothing_has_only_metadata() {
    let answer = form("Action=Nothing");
    assert_eq!(
        answer.text(),
        format!(
            "<NothingResponse xmlns=\"{XMLNS}\"><ResponseMetadata><RequestId>{REQUEST_ID}\
             </RequestId></ResponseMetadata></NothingResponse>"
        )
    );
}

#[test]
fn faults_have_the_envelope_of_the_query_protocol() {
    for (body, status, error) in [
        (
            "Action=Fail&Name=client",
            404,
            "<Type>Sender</Type><Code>ResourceNotFoundException</Code>\
             <Message>Not &lt;here&gt;</Message>",
        ),
        (
            "Action=Fail",
            500,
            "<Type>Receiver</Type><Code>ServiceException</Code>\
             <Message>Something went wrong.</Message>",
        ),
        (
            "Action=Echo&Count=x",
            400,
            "<Type>Sender</Type><Code>MalformedInput</Code>\
             <Message>STRING_VALUE can not be converted to an Integer</Message>",
        ),
        (
            "Action=Echo&Kind=Tar",
            400,
            "<Type>Sender</Type><Code>ValidationError</Code><Message>1 validation error \
             detected: Value 'Tar' at 'kind' failed to satisfy constraint: Member must satisfy \
             enum value set: [Zip, Image]</Message>",
        ),
        (
            "Action=Fly&Version=7",
            400,
            "<Type>Sender</Type><Code>InvalidAction</Code>\
             <Message>Could not find operation Fly for version 7</Message>",
        ),
    ] {
        let answer = form(body);
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(
            answer.text(),
            format!(
                "<ErrorResponse xmlns=\"{XMLNS}\"><Error>{error}</Error>\
                 <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
            )
        );
    }
}

#[test]
fn what_is_no_action_at_the_url_of_a_resource_is_said_in_other_words() {
    for (path, action, wanted) in [
        ("/", "Fly", "Could not find operation Fly for version "),
        (
            "/000000000000/q",
            "Fly",
            "The action Fly is not valid for this endpoint.",
        ),
        (
            "/000000000000/q",
            "RootEcho",
            "The action RootEcho is not valid for this endpoint.",
        ),
    ] {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = call(Method::POST, path, &headers, format!("Action={action}"));
        let text = answer.text();
        let wanted = format!("<Code>InvalidAction</Code><Message>{wanted}</Message>");
        assert!(answer.status == 400 && text.contains(&wanted), "{text}");
    }
}

#[test]
fn odd_names_are_refused_or_left_out() {
    let deep = format!("Action=Echo&{}=x", vec!["a"; 30].join("."));
    assert_eq!(form(&deep).status, 400);
    let many = format!("Action=Echo{}", "&a=b".repeat(20_000));
    assert_eq!(form(&many).status, 400);
    for body in [
        "Action=Echo&Tags.member.x.Key=a",
        "Action=Echo&Variables.entry.1.key=a",
        "Action=Echo&Tags.member.1=a",
    ] {
        assert_eq!(form(body).status, 400, "{body}");
    }
    for body in [
        "Action=Echo&.=x&..=y&=z&Name.=q",
        "Action=Echo&Name=a&Name=b",
    ] {
        assert!(matches!(form(body).status.as_u16(), 200 | 400), "{body}");
    }
}
