"""The rules of law that Sohoa carries out, each with the provision that it comes from and one sentence.

A rule's id (``CA05``) stands in errors, in the audit trail, in the names of tests and in the docstring of the code
that carries it out; docs/rules.md shows where. The decisions themselves are kept as text in docs/law. A rule that is
marked ``reading`` is this project's own where the text is silent.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Source(Enum):
    """A document that binds: short name as officers write it, full name, file in docs/law."""

    QD1333 = ("QĐ 1333", "Quyết định số 1333/QĐ-BHXH ngày 25/9/2023", "quyet-dinh-1333-2023.txt")
    QD352 = ("QĐ 352", "Quyết định số 352/QĐ-BHXH ngày 06/3/2020", "quyet-dinh-352-2020.txt")
    PLAN468 = ("Kế hoạch 468", "Kế hoạch triển khai Quyết định số 468/QĐ-TTg", "ke-hoach-468.txt")
    LETTER = ("Công văn GDĐT", "Công văn hướng dẫn giao dịch điện tử đối với cá nhân", "cong-van-giao-dich-dien-tu.txt")

    def __init__(self, short: str, title: str, file: str) -> None:
        self.short, self.title, self.file = short, title, file


Q, P, K, L = Source.QD1333, Source.QD352, Source.PLAN468, Source.LETTER

# Headings of the articles, as printed.
HEADINGS = {
    (Q, "4"): "Các giấy tờ, tài liệu thuộc phạm vi thực hiện số hóa",
    (Q, "5"): "Các giấy tờ, tài liệu không thuộc phạm vi thực hiện số hóa",
    (Q, "6"): "Người có trách nhiệm thực hiện số hóa và các yêu cầu đối với việc số hóa hồ sơ, giấy tờ thủ tục hành "
    "chính",
    (Q, "7"): "Quy trình số hóa",
    (Q, "8"): "Sao chụp giấy tờ chuyển sang bản điện tử",
    (Q, "9"): "Bóc tách dữ liệu của giấy tờ",
    (Q, "10"): "Cấp mã kết quả số hóa",
    (Q, "11"): "Lưu kết quả số hóa",
    (Q, "12"): "Kết quả giải quyết thủ tục hành chính bản điện tử",
    (Q, "13"): "Nhiệm vụ của viên chức trong thực hiện quy trình số hóa",
    (Q, "14"): "Tổ chức thực hiện",
    (Q, "15"): "Điều khoản chuyển tiếp",
    (P, "5"): "Các hành vi bị cấm khi sử dụng dịch vụ trên Cổng Dịch vụ công và Hệ thống thông tin một cửa điện tử "
    "BHXH Việt Nam",
    (P, "7"): "Các yêu cầu chung của Hệ thống thông tin một cửa điện tử",
    (P, "8"): "Quản lý và khai thác dữ liệu",
    (P, "10"): "Mã số hồ sơ thủ tục hành chính",
    (P, "11"): "Đăng ký, thay đổi thông tin tài khoản để khai thác, sử dụng Cổng Dịch vụ công",
    (P, "12"): "Tra cứu tình trạng hồ sơ",
    (P, "17"): "Xác thực giá trị pháp lý của hồ sơ điện tử",
    (P, "18"): "Cập nhật thông tin về thủ tục hành chính vào Hệ thống thông tin một cửa điện tử",
    (P, "19"): "Quy trình giải quyết thủ tục hành chính trên Hệ thống thông tin một cửa điện tử",
    (P, "20"): "Trách nhiệm của các cơ quan BHXH tham gia Cổng Dịch vụ công và Hệ thống thông tin một cửa điện tử",
}


class Rule(StrEnum):
    """Id of a rule; equal to its text, so it can stand wherever an id is kept.

    source, article: the provision, "13.3b" = Điều 13, khoản 3, điểm b; sentence: what must hold; reading: this
    project's own reading.
    """

    source: Source
    article: str
    sentence: str
    reading: bool

    def __new__(cls, value: str, source: Source, article: str, sentence: str, reading: bool = False) -> Rule:
        rule = str.__new__(cls, value)
        rule._value_ = value
        rule.source, rule.article, rule.sentence, rule.reading = source, article, sentence, reading
        return rule

    @property
    def heading(self) -> str:
        """Heading of its article in Vietnamese; empty where the source has none (plan, letter)."""
        return HEADINGS.get((self.source, self.article.split(".")[0]), "")

    @property
    def citation(self) -> str:
        """The provision as officers cite it: ``Điều 8.2b QĐ 1333``."""
        articles = self.source in (Source.QD1333, Source.QD352)
        return f"{'Điều' if articles else 'Mục'} {self.article} {self.source.short}"

    # fmt: off
    # -- scope; judged in the order 5.4, 5.3, 5.1, 4.1c, 5.2, 4.1a, 4.1b, 4.1d (the order is a reading) ---------------
    SC01 = "SC01", Q, "4.1a", "A component that is the result of an earlier procedure is digitised."
    SC02 = "SC02", Q, "4.1b", "A component that the law on social, health or unemployment insurance wants digitised is."
    SC03 = "SC03", Q, "4.1c", ("A component on the agency's list of papers to digitise is; without a list nothing is "
        "guessed.")
    SC04 = "SC04", Q, "4.1d", ("Any other component is digitised when person or organisation asks for it; the wish is "
        "recorded.")
    SC05 = "SC05", Q, "4.1", ("Papers of points a and b come as original, electronic copy from the register, "
        "electronic copy certified from the original, or electronic photo with the original to compare.")
    SC06 = "SC06", Q, "4.2", "Paper answers of other agencies are digitised into the set before the leader sees it."
    SC10 = "SC10", Q, "5.1", ("What a national or specialised database, the national portal or another agency's system "
        "already shares as data with legal value isn't digitised; source, reference and time are recorded.")
    SC11 = "SC11", Q, "5.2", "Paper photocopies and certified copies aren't digitised, except papers on the list."
    SC12 = "SC12", Q, "5.3", "A paper that is only to be shown isn't captured; an upload of it is refused."
    SC13 = "SC13", Q, "5.4", ("A secret paper isn't digitised; reading looks for stamps of secrecy again, and a "
        "confirmed one is quarantined and its images deleted.")
    # -- who, and in what order ------------------------------------------------------------------------------------
    WH01 = "WH01", Q, "6.1a", "Only staff who are assigned to it work on a dossier; anybody else is refused and noted."
    WH02 = "WH02", Q, "6.1b", "Postal staff and others work on a dossier by a written delegation, while it lasts."
    WH03 = "WH03", Q, "9.3", ("The officer who resolves the procedure confirms what was extracted, not the counter "
        "officer.")
    WH04 = "WH04", Q, "6.2b", ("Personal data are protected: none in parameters, logs, names of runs, or pages of "
        "other people.")
    WH05 = "WH05", Q, "6.2c", "The fields of a paper are kept so that other procedures use them again."
    ST01 = "ST01", Q, "7", "Capture, extraction, code and storage follow in this order; any other is an error."
    # -- capture ---------------------------------------------------------------------------------------------------
    CA01 = "CA01", Q, "8.1", ("Each paper is captured by itself and signed with the personal certificate before "
        "extraction.")
    CA02 = "CA02", Q, "8.1", "The signature shows who captured and when."
    CA03 = "CA03", Q, "8.1", "The signature stands in the top left corner of the first page."
    CA04 = "CA04", Q, "8.2a", "There are as many captures as original papers."
    CA05 = "CA05", Q, "8.2b", "A page is captured whole and true: cropped, blank, skewed and blurred pages are caught."
    CA06 = "CA06", Q, "8.2c", ("There are as many images as pages put in, in the same order; missing, swapped and "
        "duplicate pages are caught.")
    CA07 = "CA07", Q, "8.2d", ("A page with a sticky note is captured twice, with the note and without; with it first "
        "(a reading).")
    CA08 = "CA08", Q, "8.2đ", ("Data stay intact at each hand-over: a SHA-256 goes with every file, and another "
        "content is refused.")
    CA09 = "CA09", Q, "8.2e", ("Captures meet the technical standard: PDF 1.4 or later, colour, 200 dpi or more, full "
        "size.")
    CA10 = "CA10", Q, "13.3b", "One component is one file, with a signature on each."
    # -- extraction ------------------------------------------------------------------------------------------------
    EX01 = "EX01", Q, "9.1", "Data are extracted by optical character recognition."
    EX02 = "EX02", Q, "9.1", "Where it can't be used the officer types, true to the paper; who typed is kept."
    EXa = "EXa", Q, "9.2a", "Every paper has the code of its type."
    EXb = "EXb", Q, "9.2b", ("It has the owner's id; where the paper shows none, a person's name and day of birth, or "
        "an organisation's name and founding year. An id found elsewhere is marked as linked.")
    EXc = "EXc", Q, "9.2c", "Name of the paper; when the paper has none the officer attests it, nothing is guessed."
    EXd = "EXd", Q, "9.2d", "Number and symbol of the paper."
    EXđ = "EXđ", Q, "9.2đ", "Day, month and year of issue."
    EXe = "EXe", Q, "9.2e", "Agency that issued the paper."
    EXg = "EXg", Q, "9.2g", "Abstract of its main content."
    EXh = "EXh", Q, "9.2h", "Term of validity, recorded whenever the paper has one."
    EXi = "EXi", Q, "9.2i", "Scope of validity, recorded whenever the paper has one."
    EXk = "EXk", Q, "9.2k", "Other data that specialised law asks for, a schema for each type of paper."
    EXl = "EXl", Q, "9.2l", "Time of extraction, set by the system and never changed."
    EX17 = "EX17", Q, "9.4", ("When the case succeeds the agency signs result, copies and data; a failed case is never "
        "signed.")
    # -- codes -----------------------------------------------------------------------------------------------------
    CO01 = "CO01", Q, "10.1", "A digitised paper is kept under owner's id, type code, number and symbol."
    CO02 = "CO02", Q, "10.2", "For the result of a procedure the type code is the agency's result code."
    CO03 = "CO03", Q, "10.2", ("Without an owner's id its place stays empty and the substitutes are there, else there "
        "is no code.")
    CO04 = "CO04", Q, "10.3", "For any other paper the procedure's code stands before the type code."
    CO06 = "CO06", Q, "10", "The same input gives the same code and the same dossier; a repetition adds nothing.", True
    # -- storage ---------------------------------------------------------------------------------------------------
    LU01 = "LU01", Q, "11.1", "The officer who resolves the procedure stores what was digitised."
    LU02 = "LU02", Q, "11.2", ("With the owner's id it is shown in the owner's repository; without it is stored, and a "
        "late id makes it appear.")
    LU03 = "LU03", Q, "11.3", "Extracted data count like the paper only if agency-signed, stored and legally valid."
    LU04 = "LU04", Q, "11.4", "The paper moves with the data, from counter to business unit to archive, with a log."
    LU05 = "LU05", Q, "11.4", "In a dispute the paper prevails: it can be found and isn't disposed of."
    LU06 = "LU06", Q, "11.5", "Records are kept for the term of their class; of an unknown class for ever."
    KQ01 = "KQ01", Q, "12.1", ("An electronic result has the form of specialised law, or is made from paper by Decree "
        "30/2020.")
    KQ02 = "KQ02", Q, "12.2", "An electronic result carries all fields of Điều 9.2."
    KQ03 = "KQ03", Q, "12.3", "An electronic result is stored before it is returned."
    # -- the officers' five steps; letters after the number are the project's own ----------------------------------
    B1 = "B1", Q, "13.1", "Dossiers are received at the counter or by post."
    B2 = "B2", Q, "13.2", ("The digital account of person or organisation is looked for; an unavailable check is "
        "recorded and stops nobody (a reading).")
    B2a = "B2a", Q, "13.2a", "A person with an account is told so; one without is guided, or received all the same."
    B2b = "B2b", Q, "13.2b", "An organisation is received under its unit code; without an account it is guided."
    B3 = "B3", Q, "13.3", "The counter officer checks, reuses, captures and signs the components."
    B3a = "B3a", Q, "13.3a", ("Components are checked against the procedure and basic data entered; what is missing is "
        "supplemented or the dossier refused (a reading).")
    B3b = "B3b", Q, "13.3b", "What is stored or linked in the owner's repository is checked."
    B3c = "B3c", Q, "13.3b", "A paper without electronic data is classified, captured as one file and signed."
    B3d = "B3d", Q, "13.3b", ("Of a fragile original the clerk first makes a certified copy; copy and, if possible, "
        "original are captured.")
    B3e = "B3e", Q, "13.3b", "For an important, fragile paper the leader decides; silence is no approval."
    B3f = "B3f", Q, "13.3b", "A paper that exists as data isn't asked for again; its source is shown and noted."
    B3g = "B3g", Q, "13.3b", ("Where paper and data differ the paper is taken, both values are kept and neither is "
        "changed.")
    B4a = "B4a", Q, "13.4a", "The resolving officer takes the dossier over, examines it and extracts the data."
    B4b = "B4b", Q, "13.4b", "The case is submitted to who may sign."
    B4c = "B4c", Q, "13.4a", ("A case that can't be granted is returned with written reasons through the one-stop "
        "counter.")
    B4d = "B4d", Q, "13.4b", "The result is issued on paper and electronically, unless one of them is excluded."
    B4e = "B4e", Q, "13.4b", "The result is signed by who is competent, numbered and issued."
    B4f = "B4f", Q, "13.4c", "The result goes into the owner's repository and out to the national portal."
    B4g = "B4g", Q, "14.1a", "Business software is connected: dossier data out, decision data in."
    B4h = "B4h", Q, "13.4a", ("What isn't met is told to person or organisation by a notice, and supplemented within a "
        "term.")
    B5 = "B5", Q, "13.5", "The result is returned."
    B5a = "B5a", Q, "13.5a", ("An electronic result is coded, stored and returned through the owner's account, unless "
        "the procedure wants receipt in person.")
    B5b = "B5b", Q, "13.5b", "A paper result is returned by the registered way; the hand-over is recorded."
    CT01 = "CT01", Q, "15.1", "While the software is being extended, papers are scanned and signed only."
    CT02 = "CT02", Q, "15.1", "Then the dossier is stored under its dossier code."
    CT03 = "CT03", Q, "15.1", "Then the result is returned by e-mail or the owner's account."
    CT04 = "CT04", Q, "15.1", "Dossiers of that time are completed later by a run over the backlog.", True
    # -- one-stop system -------------------------------------------------------------------------------------------
    P01 = "P01", P, "10", ("The system issues the dossier's code: unit, day and number, unique; a code by hand is "
        "refused.")
    P02 = "P02", P, "5.6", "The slip of reception comes from the system only and carries the code."
    P03 = "P03", P, "12.1", "A look-up shows agency, department, day received, day of result and one of five statuses."
    P04 = "P04", P, "12.1", "A look-up shows no personal data."
    P05 = "P05", P, "12.2", "The status can be looked up on-line and by text message."
    P06 = "P06", P, "7.3", "A dossier of several agencies is made by the first one, with one code."
    P07 = "P07", P, "17", "A person is authenticated by one-time password, an organisation by digital signature."
    P08 = "P08", P, "8.1", "Data of the status are handed to the service portal."
    P09 = "P09", P, "11.3", ("Dossiers are handed in, corrected and supplemented on-line; results are returned in "
        "three ways.")
    P10 = "P10", P, "18", "Only published procedures are accepted."
    P11 = "P11", P, "20.3", "The catalogue of procedures holds from a day to a day."
    P12 = "P12", P, "19.2b", "Papers are scanned or photographed directly from the system."
    P13 = "P13", P, "20.1", "Each office follows, checks and assesses its own dossiers."
    P14 = "P14", P, "5.3", "Nothing is changed, deleted, copied or shown unlawfully: the audit trail only grows."
    P15 = "P15", P, "18.1b", "Level, field and guidance of each procedure are public."
    # -- plan and letter -------------------------------------------------------------------------------------------
    KH01 = "KH01", K, "I.1.2", "All dossiers are digitised; the ratio is shown with its denominator."
    KH02 = "KH02", K, "I.1.2", "All results are digitised; the ratio is shown with its denominator."
    KH03 = "KH03", K, "I.1.2", "Citizens wait 15 minutes a visit at most, on average."
    KH04 = "KH04", K, "I.1.2", ("Any office receives, the competent one resolves, the result is returned where the "
        "person wants.")
    KH05 = "KH05", K, "IV.2", "Indicators, satisfaction among them, are computed by schedule."
    KH06 = "KH06", K, "III.4.1", "Results that are still valid are digitised by schedule."
    GD01 = "GD01", L, "1", "Persons under 18 without an identity card register with their birth certificate."
    GD02 = "GD02", L, "2", ("A registration that lacks a picture is neither approved nor returned, but completed at "
        "the counter.")
    GD03 = "GD03", L, "2", "It is found by the dossier number or insurance number of the text message."
    GD04 = "GD04", L, "2", "The officer compares, prints the form, takes the signature, approves and activates."
    GD05 = "GD05", L, "2", "Who verifies and who approves is assigned."
    GD06 = "GD06", L, "2", "Registrations are kept, and any office may complete them."
    # fmt: on
